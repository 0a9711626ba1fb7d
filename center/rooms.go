package center

import (
	"context"
	"slices"
	"strings"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
)

// ListRooms implements api.CenterServer: the rooms of this center's view by id,
// limit at a time, with the load figures that keeper has of them; the cursor is
// the last id of the page before. While no keeper answers, or for a room that
// keeper knows with another epoch, there are no figures.
func (s *server) ListRooms(ctx context.Context, r *api.ListRoomsRequest) (*api.ListRoomsReply, error) {
	if err := onlyOperator(ctx); err != nil {
		return nil, err
	}
	limit, err := pageSize(r.Limit)
	if err != nil {
		return nil, err
	}
	if err := checkCursor(r.Cursor); err != nil {
		return nil, err
	}
	rooms := s.deps.Peers.Views().View().Kind(cluster.Room)
	from, after := slices.BinarySearchFunc(rooms, r.Cursor, func(i cluster.Instance, id string) int { return strings.Compare(i.ID, id) })
	if after {
		from++
	}
	out := &api.ListRoomsReply{}
	if rooms = rooms[from:]; len(rooms) > limit {
		rooms = rooms[:limit]
		out.NextCursor = rooms[limit-1].ID
	}
	if len(rooms) == 0 {
		return out, nil
	}
	figures := s.roomFigures(ctx)
	for _, i := range rooms {
		out.Rooms = append(out.Rooms, &api.RoomInfo{Id: i.ID, State: stateOf(i), Version: i.Version, Idc: i.IDC, Addresses: i.Addresses,
			Capacity: uint32(max(i.Capacity, 0)), Figures: figures[incarnation{i.ID, i.Epoch}], StartedMs: i.StartedMS})
	}
	return out, nil
}

type incarnation struct {
	id    string
	epoch uint64
}

func (s *server) roomFigures(ctx context.Context) map[incarnation]map[string]float64 {
	rep := s.servicesOfKeeper(ctx, &api.ServicesRequest{Kind: string(cluster.Room)})
	out := make(map[incarnation]map[string]float64, len(rep.GetInstances()))
	for _, i := range rep.GetInstances() {
		out[incarnation{i.Id, i.Epoch}] = i.Figures
	}
	return out
}

type roomAnswer struct {
	ID        string             `json:"id"`
	State     string             `json:"state"`
	Version   string             `json:"version"`
	IDC       string             `json:"idc,omitempty"`
	Addresses []string           `json:"addresses"`
	Capacity  uint32             `json:"capacity"`
	Figures   map[string]float64 `json:"figures,omitempty"`
	Started   string             `json:"started,omitempty"`
}

type roomsAnswer struct {
	Rooms      []roomAnswer `json:"rooms"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

func answerRooms(r *api.ListRoomsReply) roomsAnswer {
	out := roomsAnswer{make([]roomAnswer, len(r.GetRooms())), r.GetNextCursor()}
	for i, x := range r.GetRooms() {
		out.Rooms[i] = roomAnswer{x.Id, x.State, x.Version, x.Idc, append([]string{}, x.Addresses...), x.Capacity, x.Figures, timestamp(x.StartedMs)}
	}
	return out
}

func (s *server) restRooms(ctx context.Context, r *request) (any, error) {
	limit, cerr := r.limit()
	if cerr != nil {
		return nil, cerr
	}
	rep, err := s.ListRooms(ctx, &api.ListRoomsRequest{Limit: limit, Cursor: r.query.Get("cursor")})
	if err != nil {
		return nil, err
	}
	return answerRooms(rep), nil
}
