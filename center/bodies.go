package center

import (
	"encoding/json"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

// The bodies of REST. Their names are the API's; the methods behind them speak
// the messages of center.proto.

type pushBody struct {
	Product     string          `json:"product"`
	Device      string          `json:"device"`
	Devices     []string        `json:"devices"`
	Alias       string          `json:"alias"`
	Text        *string         `json:"text"`
	Payload     []byte          `json:"payload"`
	JSON        json.RawMessage `json:"json"`
	Data        texts           `json:"data"`
	TTL         *period         `json:"ttl"`
	QoS         *uint32         `json:"qos"`
	CollapseKey string          `json:"collapse_key"`
	DedupID     string          `json:"dedup_id"`
	Wait        period          `json:"wait"`
}

func (b *pushBody) request() (*api.PushRequest, *code.Error) {
	r := &api.PushRequest{Product: b.Product, Device: b.Device, Devices: b.Devices, Alias: b.Alias,
		Text: b.Text, Payload: b.Payload, Data: b.Data, Qos: b.QoS, CollapseKey: b.CollapseKey, DedupId: b.DedupID, WaitMs: b.Wait.millis()}
	if len(b.JSON) > 0 {
		s := string(b.JSON)
		r.Json = &s
	}
	if b.TTL != nil {
		if r.TtlMs = b.TTL.millis(); r.TtlMs == 0 {
			return nil, code.Invalid("ttl", "must be between 1s and 720h")
		}
	}
	return r, nil
}

type pushAnswer struct {
	ID      string       `json:"id"`
	Results []pushResult `json:"results"`
}

type pushResult struct {
	Device string     `json:"device"`
	Seq    uint64     `json:"seq,omitempty"`
	State  string     `json:"state,omitempty"`
	Error  *errorBody `json:"error,omitempty"`
}

func answerPush(r *api.PushReply) pushAnswer {
	return pushAnswer{ID: r.GetId(), Results: answerResults(r.GetResults())}
}

func answerResults(list []*api.PushResult) []pushResult {
	out := make([]pushResult, len(list))
	for i, x := range list {
		out[i] = pushResult{Device: x.Device, Seq: x.Seq, State: x.State}
		if err := rpc.ErrorOf(x.Error); err != nil {
			out[i].Error = errorOf(err)
		}
	}
	return out
}

type batchBody struct {
	Messages []json.RawMessage `json:"messages"` // each a pushBody
}

type batchAnswer struct {
	Results []batchResult `json:"results"`
}

// batchResult is a push's answer or its error.
type batchResult struct {
	ID      string       `json:"id,omitempty"`
	Results []pushResult `json:"results,omitempty"`
	Error   *errorBody   `json:"error,omitempty"`
}

func answerBatchResult(r *api.PushBatchResult) batchResult {
	if err := rpc.ErrorOf(r.Error); err != nil {
		return batchResult{Error: errorOf(err)}
	}
	return batchResult{ID: r.Id, Results: answerResults(r.Results)}
}

// errorBody is the error object.
type errorBody struct {
	Code         string `json:"code"`
	Message      string `json:"message"`
	Field        string `json:"field,omitempty"`
	RetryAfterMS uint32 `json:"retry_after_ms,omitempty"`
}

func errorOf(e *code.Error) *errorBody {
	m := e.Message
	if m == "" {
		m = e.Code.Row().Meaning
	}
	return &errorBody{Code: e.Code.String(), Message: m, Field: e.Field, RetryAfterMS: e.RetryMS()}
}

type queryBody struct {
	Devices []string `json:"devices"`
}

type deviceAnswer struct {
	Device   string          `json:"device"`
	State    string          `json:"state"`
	Room     string          `json:"room,omitempty"`
	Since    string          `json:"since,omitempty"`
	Network  string          `json:"network,omitempty"`
	Client   string          `json:"client,omitempty"`
	Session  uint64          `json:"session,omitempty"`
	Bindings []bindingAnswer `json:"bindings"`
}

type bindingAnswer struct {
	Product string   `json:"product"`
	Tags    []string `json:"tags"`
	Pending uint64   `json:"pending"`
}

func answerDevice(d *api.Device) deviceAnswer {
	out := deviceAnswer{Device: d.Device, State: d.State, Room: d.Room, Since: timestamp(d.SinceMs), Network: d.Network, Client: d.Client, Session: d.Session,
		Bindings: make([]bindingAnswer, len(d.Bindings))}
	for i, b := range d.Bindings {
		out.Bindings[i] = bindingAnswer{b.Product, append([]string{}, b.Tags...), b.Pending}
	}
	return out
}

type devicesAnswer struct {
	Devices []deviceAnswer `json:"devices"`
}

func answerDevices(r *api.QueryDevicesReply) devicesAnswer {
	out := devicesAnswer{make([]deviceAnswer, len(r.GetDevices()))}
	for i, d := range r.GetDevices() {
		out.Devices[i] = answerDevice(d)
	}
	return out
}

type kickBody struct {
	Reason string `json:"reason"`
}

type kickAnswer struct {
	State string `json:"state"`
}

type serviceAnswer struct {
	Kind      string             `json:"kind"`
	ID        string             `json:"id"`
	Epoch     uint64             `json:"epoch"`
	State     string             `json:"state"`
	Version   string             `json:"version"`
	RPC       string             `json:"rpc"`
	Addresses []string           `json:"addresses,omitempty"`
	Started   string             `json:"started,omitempty"`
	Figures   map[string]float64 `json:"figures,omitempty"`
}

type servicesAnswer struct {
	Revision uint64          `json:"revision"`
	Services []serviceAnswer `json:"services"`
}

func answerServices(r *api.ServicesReply) servicesAnswer {
	out := servicesAnswer{r.GetRevision(), make([]serviceAnswer, len(r.GetInstances()))}
	for i, x := range r.GetInstances() {
		out.Services[i] = serviceAnswer{x.Kind, x.Id, x.Epoch, x.State, x.Version, x.Rpc, x.Addresses, timestamp(x.StartedMs), x.Figures}
	}
	return out
}

type productBody struct {
	Name string `json:"name"`
}

type productAnswer struct {
	Name    string   `json:"name"`
	Created string   `json:"created"`
	KeyIDs  []string `json:"key_ids"`
}

func answerProduct(p *api.Product) productAnswer {
	return productAnswer{p.Name, timestamp(p.CreatedMs), append([]string{}, p.KeyIds...)}
}

type productsAnswer struct {
	Products   []productAnswer `json:"products"`
	NextCursor string          `json:"next_cursor,omitempty"`
}

func answerProducts(r *api.ListProductsReply) productsAnswer {
	out := productsAnswer{make([]productAnswer, len(r.GetProducts())), r.GetNextCursor()}
	for i, p := range r.GetProducts() {
		out.Products[i] = answerProduct(p)
	}
	return out
}

type productKeyAnswer struct {
	Name        string `json:"name"`
	APIKey      string `json:"api_key"`
	GrantSecret string `json:"grant_secret,omitempty"`
	GrantKID    string `json:"grant_kid,omitempty"`
}

func answerProductKey(k *api.ProductKey) productKeyAnswer {
	return productKeyAnswer{k.Name, k.ApiKey, k.GrantSecret, k.GrantKid}
}

type tokenBody struct {
	Device   string   `json:"device"`
	Products []string `json:"products"`
	Aliases  texts    `json:"aliases"`
	TTL      *period  `json:"ttl"`
}

type tokenAnswer struct {
	Token   string `json:"token"`
	Expires string `json:"expires"`
}

// timestamp is RFC 3339 in UTC with milliseconds; empty for 0.
func timestamp(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}
