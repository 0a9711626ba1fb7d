package center

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/trace"
)

// bodies are the objects of REST with their forms in Go and in center.proto,
// and the names that differ there.
var bodies = map[string]struct {
	rest    any
	proto   proto.Message
	renamed map[string]string // REST's to proto's
	missing []string          // in REST: they are in the path or the query
	request bool
}{
	"ErrorReply":       {rest: struct{ Error *errorBody }{}},
	"Error":            {rest: errorBody{}, proto: &api.Result{}, renamed: map[string]string{"retry_after_ms": "retry_ms"}},
	"PushRequest":      {rest: pushBody{}, proto: &api.PushRequest{}, renamed: map[string]string{"ttl": "ttl_ms", "wait": "wait_ms"}, request: true},
	"PushReply":        {rest: pushAnswer{}, proto: &api.PushReply{}},
	"PushResult":       {rest: pushResult{}, proto: &api.PushResult{}},
	"PushBatchRequest": {rest: batchBody{}, proto: &api.PushBatchRequest{}, request: true},
	"PushBatchReply":   {rest: batchAnswer{}, proto: &api.PushBatchReply{}},
	"PushBatchResult":  {rest: batchResult{}, proto: &api.PushBatchResult{}},
	"DevicesQuery":     {rest: queryBody{}, proto: &api.QueryDevicesRequest{}, request: true},
	"Devices":          {rest: devicesAnswer{}, proto: &api.QueryDevicesReply{}},
	"Device":           {rest: deviceAnswer{}, proto: &api.Device{}, renamed: map[string]string{"since": "since_ms"}},
	"Binding":          {rest: bindingAnswer{}, proto: &api.DeviceBinding{}},
	"KickRequest":      {rest: kickBody{}, proto: &api.KickDeviceRequest{}, missing: []string{"device"}, request: true},
	"KickReply":        {rest: kickAnswer{}, proto: &api.KickDeviceReply{}},
	"AliasChange":      {rest: aliasChange{}, proto: &api.SetAliasDeviceReply{}},
	"Alias":            {rest: aliasAnswer{}, proto: &api.Alias{}},
	"AliasDevice":      {rest: aliasDevice{}, proto: &api.AliasMember{}, renamed: map[string]string{"created": "created_ms"}},
	"Recall":           {rest: recallAnswer{}, proto: &api.RecallMessageReply{}},
	"Rooms":            {rest: roomsAnswer{}, proto: &api.ListRoomsReply{}},
	"Room":             {rest: roomAnswer{}, proto: &api.RoomInfo{}, renamed: map[string]string{"started": "started_ms"}},
	"Trace":            {rest: traceAnswer{}, proto: &api.MessageTrace{}},
	"TraceTarget":      {rest: targetAnswer{}, proto: &api.MessageTarget{}, renamed: map[string]string{"accepted": "accepted_ms", "expires": "expires_ms"}},
	"TraceEvent":       {rest: stepAnswer{}, proto: &api.TraceEvent{}, renamed: map[string]string{"time": "at_us"}},
	"Event":            {rest: eventBody{}, proto: &api.Event{}, renamed: map[string]string{"time": "at_ms"}, missing: []string{"cursor"}},
	"Services":         {rest: servicesAnswer{}, proto: &api.ServicesReply{}, renamed: map[string]string{"services": "instances"}},
	"Service":          {rest: serviceAnswer{}, proto: &api.ServiceInstance{}, renamed: map[string]string{"started": "started_ms"}},
	"Products":         {rest: productsAnswer{}, proto: &api.ListProductsReply{}},
	"Product":          {rest: productAnswer{}, proto: &api.Product{}, renamed: map[string]string{"created": "created_ms"}},
	"NewProduct":       {rest: productBody{}, proto: &api.CreateProductRequest{}, request: true},
	"ProductKey":       {rest: productKeyAnswer{}, proto: &api.ProductKey{}},
	"TokenRequest":     {rest: tokenBody{}, proto: &api.CreateTokenRequest{}, renamed: map[string]string{"ttl": "ttl_ms"}, request: true},
	"Token":            {rest: tokenAnswer{}, proto: &api.CreateTokenReply{}, renamed: map[string]string{"expires": "expires_ms"}},
}

// TestOpenAPIEqualsTheCode: names, types and what may be left out, in
// openapi.yaml, REST's structs and center.proto.
func TestOpenAPIEqualsTheCode(t *testing.T) {
	f := loadAPI(t)
	for name, s := range f.Components.Schemas {
		b, ok := bodies[name]
		if s.Type != "object" {
			continue
		}
		if !ok {
			t.Errorf("%s is no struct's", name)
			continue
		}
		var names, required []string
		typ := reflect.TypeOf(b.rest)
		for i := range typ.NumField() {
			field, option, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if field == "" {
				field = strings.ToLower(typ.Field(i).Name)
			}
			names = append(names, field)
			if option != "omitempty" {
				required = append(required, field)
			}
			if p := s.Properties[field]; p != nil {
				if got, want := f.at(t, p).Type, jsonType(typ.Field(i).Type); got != want {
					t.Errorf("%s.%s is of type %q, in Go it is %q", name, field, got, want)
				}
			}
		}
		compare(t, name+"'s properties and REST's fields", slices.Collect(maps.Keys(s.Properties)), names)
		if !b.request {
			compare(t, name+"'s required and the fields that are never left out", s.Required, required)
		}
		if b.proto == nil {
			continue
		}
		wants := slices.Clone(b.missing)
		for _, field := range names {
			if other := b.renamed[field]; other != "" {
				field = other
			}
			wants = append(wants, field)
		}
		compare(t, name+"'s fields and those of "+string(b.proto.ProtoReflect().Descriptor().Name()), wants, fieldNames(b.proto.ProtoReflect().Descriptor()))
	}
	for name := range bodies {
		if f.Components.Schemas[name] == nil {
			t.Errorf("openapi.yaml lacks %s", name)
		}
	}
	for where, c := range map[string]struct {
		got  []any
		want []string
	}{
		"Error.code":        {f.Components.Schemas["Error"].Properties["code"].Enum, apiCodes()},
		"PushResult.state":  {f.Components.Schemas["PushResult"].Properties["state"].Enum, []string{stateSent, stateStored, stateAcked}},
		"Device.state":      {f.Components.Schemas["Device"].Properties["state"].Enum, []string{deviceOnline, deviceOffline, deviceUnknown}},
		"KickReply.state":   {f.Components.Schemas["KickReply"].Properties["state"].Enum, []string{kickKicked, kickUnbound}},
		"Room.state":        {f.Components.Schemas["Room"].Properties["state"].Enum, []string{string(cluster.Ready), string(cluster.Draining), stateHeld}},
		"Service.state":     {f.Components.Schemas["Service"].Properties["state"].Enum, []string{string(cluster.Ready), string(cluster.Draining), stateHeld}},
		"Event.type":        {f.Components.Schemas["Event"].Properties["type"].Enum, []string{eventUpstream}},
		"TraceTarget.state": {f.Components.Schemas["TraceTarget"].Properties["state"].Enum, messageStates()},
		"TraceEvent.stage":  {f.Components.Schemas["TraceEvent"].Properties["stage"].Enum, stages()},
		"Kind":              {f.Components.Schemas["Kind"].Enum, kinds()},
	} {
		var got []string
		for _, v := range c.got {
			got = append(got, fmt.Sprint(v))
		}
		compare(t, where, got, c.want)
	}
}

// apiCodes are the codes that may be in an answer.
func apiCodes() (out []string) {
	for _, r := range code.Table {
		if r.HTTP != 0 && r.Code != code.OK {
			out = append(out, r.Name)
		}
	}
	return out
}

func messageStates() (out []string) {
	for n := range api.FoundMessage_State_name {
		if n != 0 {
			out = append(out, messageState(api.FoundMessage_State(n)))
		}
	}
	return out
}

func stages() (out []string) {
	for _, s := range []trace.Stage{trace.Accepted, trace.Stored, trace.Located, trace.Handed, trace.Loaded, trace.Written, trace.Acknowledged, trace.Recalled} {
		out = append(out, string(s))
	}
	return out
}

func kinds() (out []string) {
	for _, k := range cluster.Kinds {
		out = append(out, string(k))
	}
	return out
}

func fieldNames(d protoreflect.MessageDescriptor) (out []string) {
	for i := range d.Fields().Len() {
		out = append(out, string(d.Fields().Get(i).Name()))
	}
	return out
}

func compare(t *testing.T, what string, a, b []string) {
	t.Helper()
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	if !slices.Equal(a, b) {
		t.Errorf("%s differ:\n%v\n%v", what, a, b)
	}
}

// jsonType is the type in JSON of what a Go type is decoded from.
func jsonType(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return ""
	case t == reflect.TypeFor[[]byte](), t == reflect.TypeFor[period](), t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Slice:
		return "array"
	case t.Kind() == reflect.Map, t.Kind() == reflect.Struct:
		return "object"
	}
	return "integer"
}

// TestOpenAPIRequired: a request without a required field is refused for it,
// one without any other field is not.
func TestOpenAPIRequired(t *testing.T) {
	f := loadAPI(t)
	for path, full := range map[string]string{
		"/v1/push":          `{"product":"demo","devices":["d"],"text":"hi","data":{"k":"v"},"ttl":"1h","qos":1,"collapse_key":"k","dedup_id":"i","wait":"10ms"}`,
		"/v1/push:batch":    `{"messages":[{"product":"demo","device":"d","text":"hi"}]}`,
		"/v1/devices:query": `{"devices":["d"]}`,
		"/v1/products":      `{"name":"new"}`,
		"/v1/tokens":        `{"device":"d","products":["demo"],"aliases":{},"ttl":"1h"}`,
	} {
		op := f.Paths[path]["post"]
		s := f.at(t, op.RequestBody.Content["application/json"].Schema)
		w := newWorld(t, nil)
		var all map[string]json.RawMessage
		if err := json.Unmarshal([]byte(full), &all); err != nil {
			t.Fatal(err)
		}
		for name := range all {
			if path == "/v1/push" && (name == "devices" || name == "text") { // one of several
				continue
			}
			less := maps.Clone(all)
			delete(less, name)
			body, _ := json.Marshal(less)
			a := w.call(w.op, "POST", path, string(body))
			if slices.Contains(s.Required, name) {
				a.failed(t, code.InvalidArgument, name)
			} else if a.status/100 != 2 && !(name == "products" && path == "/v1/tokens") {
				t.Errorf("%s without %s: %d %s", path, name, a.status, a.body)
			}
		}
		if a := w.call(w.op, "POST", path, ""); !op.RequestBody.Required || a.status != 400 {
			t.Errorf("%s without a body: %d", path, a.status)
		}
	}
}

// TestOpenAPIOperations makes every call of the file with both roles, as the
// file says who may, and holds the answers against it.
func TestOpenAPIOperations(t *testing.T) {
	f := loadAPI(t)
	w := newWorld(t, nil)
	w.reg.online("on", 5, "demo")
	called := map[string]bool{}
	for _, c := range doorCalls() {
		path, _, query := strings.Cut(c.path, "?")
		template, op := f.find(path, c.method)
		if op == nil {
			t.Errorf("openapi.yaml lacks %s %s", c.method, path)
			continue
		}
		product := op.Security == nil
		if !product && (len(*op.Security) != 1 || (*op.Security)[0]["operatorKey"] == nil) {
			t.Errorf("%s: security %v", op.OperationID, *op.Security)
		}
		if query {
			f.checkQuery(t, op, c.path)
		}
		a := w.call(w.keys["demo"], c.method, c.path, c.body)
		if (a.status == http.StatusForbidden) == product && !c.elsewhere() {
			t.Errorf("%s with a product's key: %d", c.name, a.status)
		}
		f.checkAnswer(t, op, a)
		if product && a.status/100 == 2 {
			called[template+" "+c.method+" P"] = true
		}
		a = w.call(w.op, c.method, c.path, c.body)
		f.checkAnswer(t, op, a)
		if a.status/100 == 2 {
			called[template+" "+c.method+" O"] = true
		}
	}
	routes := map[string]bool{}
	for path, ops := range f.Paths {
		for method, op := range ops {
			if path == "/openapi.yaml" {
				continue
			}
			method = strings.ToUpper(method)
			routes[path+" "+method] = true
			var inPath []string
			for _, name := range pathName.FindAllString(path, -1) {
				inPath = append(inPath, strings.Trim(name, "{}"))
			}
			compare(t, op.OperationID+"'s names in the path", f.parameters(&op, "path"), inPath)
			if !called[path+" "+method+" O"] || op.Security == nil && !called[path+" "+method+" P"] {
				t.Errorf("%s %s has not succeeded with every role that may", method, path)
			}
			if grpcCalls[op.OperationID] == "" {
				t.Errorf("there is no gRPC method %s", op.OperationID)
			}
		}
	}
	for path, m := range w.center.server.routes() {
		for method, rt := range m {
			method, verb, _ := strings.Cut(method, " ")
			if !routes[path+verb+" "+method] {
				t.Errorf("openapi.yaml lacks %s %s%s", method, path, verb)
			}
			op := f.Paths[path+verb][strings.ToLower(method)]
			compare(t, rt.call+"'s parameters of the query", f.parameters(&op, "query"), rt.query)
		}
	}
	a := w.call("", "GET", "/openapi.yaml", "")
	if a.status != 200 || string(a.body) != string(openAPI) || a.header.Get("Content-Type") != "application/yaml" || a.header.Get("X-Request-Id") == "" {
		t.Errorf("%d, %d bytes, %v", a.status, len(a.body), a.header)
	}
}
