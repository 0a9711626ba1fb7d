package e2e

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"longlink/pkg/api"
)

// overGRPC makes the newer calls a second time, over gRPC on the same port.
func overGRPC(t *testing.T, s *Site) {
	product(t, s, "wire")
	conn, err := grpc.NewClient(strings.TrimPrefix(s.Centers[0], "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+s.OpKey), 30*time.Second)
	defer cancel()
	c := api.NewCenterClient(conn)
	must := func(ok bool, err error, what string, got any) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	d := s.Device(t, "coil-1", "--product", "wire", "--send", "pulse=one")
	d.Start()
	d.AwaitConnected()
	changed, err := c.AddAlias(ctx, &api.SetAliasDeviceRequest{Product: "wire", Alias: "erin", Device: "coil-1"})
	must(changed.GetChanged(), err, "AddAlias", changed)
	alias, err := c.GetAlias(ctx, &api.GetAliasRequest{Product: "wire", Alias: "erin"})
	must(len(alias.GetDevices()) == 1, err, "GetAlias", alias)
	text := "hello"
	pushed, err := c.Push(ctx, &api.PushRequest{Product: "wire", Alias: "erin", Text: &text, WaitMs: 10000})
	must(len(pushed.GetResults()) == 1 && pushed.Results[0].State == "acked", err, "Push", pushed)
	traced, err := c.TraceMessage(ctx, &api.TraceMessageRequest{Id: pushed.GetId()})
	must(len(traced.GetTargets()) == 1 && len(traced.GetEvents()) > 3, err, "TraceMessage", traced)
	changed, err = c.RemoveAlias(ctx, &api.SetAliasDeviceRequest{Product: "wire", Alias: "erin", Device: "coil-1"})
	must(changed.GetChanged(), err, "RemoveAlias", changed)
	later, err := c.Push(ctx, &api.PushRequest{Product: "wire", Device: "coil-2", Text: &text})
	must(len(later.GetResults()) == 1, err, "Push", later)
	recalled, err := c.RecallMessage(ctx, &api.RecallMessageRequest{Id: later.GetId()})
	must(recalled.GetRecalled() == 1 && recalled.GetTargets() == 1, err, "RecallMessage", recalled)
	rooms, err := c.ListRooms(ctx, &api.ListRoomsRequest{})
	must(len(rooms.GetRooms()) > 0, err, "ListRooms", rooms)

	stream, err := c.Events(ctx, &api.EventsRequest{Product: "wire", SinceMs: 60000})
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the stream has ended")
			}
			t.Fatalf("Events: %v", err)
		}
		if e.Id != "" {
			must(e.Device == "coil-1" && e.Kind == "pulse" && e.GetText() == "one", nil, "Events", e)
			break
		}
	}
	d.Stop()
}
