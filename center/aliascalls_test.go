package center

import (
	"context"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// aliasCalls are the calls of aliases, recall and rooms.
func aliasCalls() []doorCall {
	set := func(name, method, path string, r *api.SetAliasDeviceRequest, product, operator code.Code, field string) doorCall {
		return doorCall{name, method, path, "", func(ctx context.Context, c api.CenterClient) (any, error) {
			do := c.AddAlias
			if method == "DELETE" {
				do = c.RemoveAlias
			}
			rep, err := do(ctx, r)
			return aliasChange{rep.GetChanged()}, err
		}, product, operator, field}
	}
	list := func(name, path string, r *api.GetAliasRequest, product, operator code.Code, field string) doorCall {
		return doorCall{name, "GET", path, "", func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.GetAlias(ctx, r)
			return answerAlias(rep), err
		}, product, operator, field}
	}
	recall := func(name, path string, r *api.RecallMessageRequest, product, operator code.Code, field string) doorCall {
		return doorCall{name, "DELETE", path, "", func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.RecallMessage(ctx, r)
			return answerRecall(rep), err
		}, product, operator, field}
	}
	rooms := func(name, path string, r *api.ListRoomsRequest, operator code.Code, field string) doorCall {
		return doorCall{name, "GET", path, "", func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.ListRooms(ctx, r)
			return answerRooms(rep), err
		}, code.PermissionDenied, operator, field}
	}
	hi, id := ptr("hi"), messageID("demo", "taken")
	bad := code.InvalidArgument
	return []doorCall{
		set("alias", "PUT", "/v1/aliases/ann/devices/on?product=demo", &api.SetAliasDeviceRequest{Product: "demo", Alias: "ann", Device: "on"}, 0, 0, ""),
		set("alias of the key's product", "PUT", "/v1/aliases/ann/devices/off", &api.SetAliasDeviceRequest{Alias: "ann", Device: "off"}, 0, bad, "product"),
		set("alias in another product", "PUT", "/v1/aliases/ann/devices/on?product=shop", &api.SetAliasDeviceRequest{Product: "shop", Alias: "ann", Device: "on"}, code.PermissionDenied, 0, "product"),
		set("bad alias", "PUT", "/v1/aliases/a%20b/devices/on?product=demo", &api.SetAliasDeviceRequest{Product: "demo", Alias: "a b", Device: "on"}, bad, bad, "alias"),
		set("alias of a bad device", "PUT", "/v1/aliases/ann/devices/a%20b?product=demo", &api.SetAliasDeviceRequest{Product: "demo", Alias: "ann", Device: "a b"}, bad, bad, "device"),
		list("devices of an alias", "/v1/aliases/ann?product=demo&limit=1", &api.GetAliasRequest{Product: "demo", Alias: "ann", Limit: 1}, 0, 0, ""),
		list("further devices of an alias", "/v1/aliases/ann?product=demo&limit=1&cursor=off", &api.GetAliasRequest{Product: "demo", Alias: "ann", Limit: 1, Cursor: "off"}, 0, 0, ""),
		list("devices of an unknown alias", "/v1/aliases/nobody?product=demo", &api.GetAliasRequest{Product: "demo", Alias: "nobody"}, 0, 0, ""),
		list("devices of an alias in another product", "/v1/aliases/ann?product=shop", &api.GetAliasRequest{Product: "shop", Alias: "ann"}, code.PermissionDenied, 0, "product"),
		list("devices of an alias, high limit", "/v1/aliases/ann?product=demo&limit=1001", &api.GetAliasRequest{Product: "demo", Alias: "ann", Limit: 1001}, bad, bad, "limit"),
		list("devices of an alias, bad cursor", "/v1/aliases/ann?product=demo&cursor=a%20b", &api.GetAliasRequest{Product: "demo", Alias: "ann", Cursor: "a b"}, bad, bad, "cursor"),
		pushCall("push to an alias", `{"product":"demo","alias":"ann","text":"hi","dedup_id":"taken"}`, &api.PushRequest{Product: "demo", Alias: "ann", Text: hi, DedupId: "taken"}, 0, 0, ""),
		pushCall("push to an empty alias", `{"product":"demo","alias":"nobody","text":"hi"}`, &api.PushRequest{Product: "demo", Alias: "nobody", Text: hi}, code.NotFound, code.NotFound, "alias"),
		pushCall("push to a bad alias", `{"product":"demo","alias":"a b","text":"hi"}`, &api.PushRequest{Product: "demo", Alias: "a b", Text: hi}, bad, bad, "alias"),
		pushCall("push to an alias in another product", `{"product":"shop","alias":"ann","text":"hi"}`, &api.PushRequest{Product: "shop", Alias: "ann", Text: hi}, code.PermissionDenied, 0, "product"),
		recall("recall", "/v1/messages/"+id+"?product=demo", &api.RecallMessageRequest{Id: id, Product: "demo"}, 0, 0, ""),
		recall("recall of any product", "/v1/messages/"+id, &api.RecallMessageRequest{Id: id}, 0, 0, ""),
		recall("recall of nothing", "/v1/messages/nothing", &api.RecallMessageRequest{Id: "nothing"}, code.NotFound, code.NotFound, "id"),
		recall("recall of a bad id", "/v1/messages/a%20b", &api.RecallMessageRequest{Id: "a b"}, bad, bad, "id"),
		set("no alias", "DELETE", "/v1/aliases/ann/devices/on?product=demo", &api.SetAliasDeviceRequest{Product: "demo", Alias: "ann", Device: "on"}, 0, 0, ""),
		set("no alias in another product", "DELETE", "/v1/aliases/ann/devices/on?product=shop", &api.SetAliasDeviceRequest{Product: "shop", Alias: "ann", Device: "on"}, code.PermissionDenied, 0, "product"),
		rooms("rooms", "/v1/rooms?limit=1", &api.ListRoomsRequest{Limit: 1}, 0, ""),
		rooms("rooms, high limit", "/v1/rooms?limit=1001", &api.ListRoomsRequest{Limit: 1001}, bad, "limit"),
		rooms("rooms, bad cursor", "/v1/rooms?cursor=a%20b", &api.ListRoomsRequest{Cursor: "a b"}, bad, "cursor"),
	}
}
