package center

import (
	"context"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// States of a device.
const (
	deviceOnline  = "online"
	deviceOffline = "offline"
	// deviceUnknown: register cannot say at the moment; ask again.
	deviceUnknown = "unknown"
)

// GetDevice implements api.CenterServer.
func (s *server) GetDevice(ctx context.Context, r *api.GetDeviceRequest) (*api.Device, error) {
	list, err := s.describe(ctx, "device", []string{r.Device})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// QueryDevices implements api.CenterServer.
func (s *server) QueryDevices(ctx context.Context, r *api.QueryDevicesRequest) (*api.QueryDevicesReply, error) {
	switch {
	case len(r.Devices) == 0:
		return nil, code.Invalid("devices", "name at least one device")
	case len(r.Devices) > maxQuery:
		return nil, code.Errorf(code.TooManyTargets, "%d devices, at most %d are taken; split the query", len(r.Devices), maxQuery).WithField("devices")
	}
	list, err := s.describe(ctx, "devices", r.Devices)
	if err != nil {
		return nil, err
	}
	return &api.QueryDevicesReply{Devices: list}, nil
}

// describe asks register for the sessions and saver for what waits. The state
// is unknown while register cannot say; without saver the call fails, because a
// wrong number of waiting messages is worse than none.
func (s *server) describe(ctx context.Context, field string, devices []string) ([]*api.Device, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		if err := checkID(field, d); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout.Std())
	defer cancel()
	found := s.sessions(ctx, devices)
	out := make([]*api.Device, len(devices))
	failed := make([]error, len(devices))
	s.each(ctx, "center.pending", len(devices), 16, func(ctx context.Context, i int) {
		out[i] = view(who, devices[i], found[i])
		failed[i] = s.countPending(ctx, who, out[i])
	})
	for _, err := range failed {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sessions asks each slot's owner once for all its devices; nil: no answer.
func (s *server) sessions(ctx context.Context, devices []string) []*api.DescribeResult {
	found := make([]*api.DescribeResult, len(devices))
	v := s.deps.Peers.Views().View()
	byOwner := map[string][]int{} // RPC address to places
	for i, d := range devices {
		if o, ok := v.Owner(cluster.Register, slot.Of(d)); ok {
			byOwner[o.RPC] = append(byOwner[o.RPC], i)
		}
	}
	addrs := make([]string, 0, len(byOwner))
	for addr := range byOwner {
		addrs = append(addrs, addr)
	}
	s.each(ctx, "center.describe", len(addrs), 16, func(ctx context.Context, n int) {
		places := byOwner[addrs[n]]
		req := &api.DescribeRequest{}
		for _, i := range places {
			req.Devices = append(req.Devices, devices[i])
		}
		cc, err := s.deps.Peers.Conn(addrs[n])
		if err != nil {
			return
		}
		rep, err := api.NewRegisterClient(cc).Describe(ctx, req)
		if err != nil || len(rep.Results) != len(places) {
			s.log.Warn("a register did not describe devices", "request_id", rpc.RequestID(ctx), "register", addrs[n], "err", err)
			return
		}
		for k, i := range places {
			found[i] = rep.Results[k]
		}
	})
	return found
}

// view is what the caller may see of a session. A product sees a device that
// has not bound it as offline.
func view(who principal, device string, found *api.DescribeResult) *api.Device {
	out := &api.Device{Device: device, State: deviceUnknown}
	if found == nil {
		return out
	}
	if err := rpc.ErrorOf(found.Result); err != nil {
		if err.Code == code.Offline {
			out.State = deviceOffline
		}
		return out
	}
	sess := found.Session
	for _, b := range sess.GetBindings() {
		if who.operator() || b.Product == who.product {
			out.Bindings = append(out.Bindings, &api.DeviceBinding{Product: b.Product, Tags: b.Tags})
		}
	}
	if !who.operator() && len(out.Bindings) == 0 {
		out.State = deviceOffline
		return out
	}
	out.State, out.Room, out.SinceMs, out.Network, out.Client, out.Session = deviceOnline, sess.GetRoom(), sess.GetSinceMs(), sess.GetNetwork(), sess.GetClient(), sess.GetEpoch()
	return out
}

// countPending fills in what waits in the device's lanes: those it has bound,
// and those of the caller's products in which something waits for it. The
// operator's are all products, as long as they are not more than maxAsked.
func (s *server) countPending(ctx context.Context, who principal, d *api.Device) error {
	req := &api.PendingRequest{Device: d.Device}
	bound := map[string]bool{}
	for _, b := range d.Bindings {
		req.Products = append(req.Products, b.Product)
		bound[b.Product] = true
	}
	if !who.operator() {
		if !bound[who.product] {
			req.Products = append(req.Products, who.product)
		}
	} else if all := s.deps.Directory.Products(); len(all) <= maxAsked {
		for _, p := range all {
			if !bound[p.Name] && len(req.Products) < maxAsked {
				req.Products = append(req.Products, p.Name)
			}
		}
	}
	if len(req.Products) == 0 {
		return nil
	}
	cc, err := s.deps.Peers.ToServing(cluster.Saver, slot.Of(d.Device))
	if err != nil {
		return err
	}
	rep, err := api.NewSaverClient(cc).Pending(ctx, req)
	if err != nil {
		return err
	}
	if len(rep.Counts) != len(req.Products) {
		return code.Errorf(code.Internal, "saver counted %d lanes of %d", len(rep.Counts), len(req.Products))
	}
	for i, n := range rep.Counts {
		switch {
		case i < len(d.Bindings):
			d.Bindings[i].Pending = n
		case n > 0:
			d.Bindings = append(d.Bindings, &api.DeviceBinding{Product: req.Products[i], Pending: n})
		}
	}
	return nil
}
