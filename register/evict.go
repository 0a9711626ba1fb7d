package register

import (
	"context"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/slot"
)

// eviction is a session that lost its place to one in another room.
type eviction struct {
	room roomKey
	item *api.EvictItem
}

// displaced has the loser's room told, in the background.
func (r *Register) displaced(device string, loser, winner *session) {
	e := eviction{loser.room.Value(), &api.EvictItem{Device: device, Epoch: loser.epoch, WinnerRoom: winner.room.Value().id}}
	if !r.evicts.Put(slot.Key(device), e) {
		r.dropEvictions([]eviction{e})
	}
}

// evict tells each room of a batch once, under its own deadline. A room that
// cannot be told is not asked again: a dead one has no connections, and a
// living one learns of its loss when it next tells of the session.
func (r *Register) evict(ctx context.Context, _ int, list []eviction) {
	byRoom := map[roomKey][]*api.EvictItem{}
	for _, e := range list {
		byRoom[e.room] = append(byRoom[e.room], e.item)
	}
	for room, items := range byRoom {
		if r.rooms.presence(room) == dead {
			continue // its connections ended with it
		}
		err := r.callRoom(ctx, room, func(ctx context.Context, c api.RoomClient) error {
			_, err := c.Evict(ctx, &api.EvictRequest{Items: items})
			return err
		})
		result := "told"
		if err != nil {
			result = "failed"
			if r.rooms.complain(room, time.Now()) {
				r.log.Warn("a room is not told of displaced sessions; further ones are only counted for a minute", "room", room.id, "sessions", len(items), "err", err)
			}
		}
		r.metrics.evictions.WithLabelValues(result).Add(float64(len(items)))
	}
}

func (r *Register) dropEvictions(list []eviction) {
	r.metrics.evictions.WithLabelValues("dropped").Add(float64(len(list)))
}

// callRoom calls one life of a room under the config's deadline.
func (r *Register) callRoom(ctx context.Context, room roomKey, call func(context.Context, api.RoomClient) error) error {
	cc, err := r.deps.Peers.To(cluster.Room, room.id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CallTimeout.Std())
	defer cancel()
	return call(ctx, api.NewRoomClient(cc))
}
