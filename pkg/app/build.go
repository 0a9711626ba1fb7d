package app

import (
	"fmt"

	"longlink/center"
	"longlink/coordinator"
	"longlink/dispatcher"
	"longlink/keeper"
	"longlink/pkg/cluster"
	"longlink/pkg/service"
	"longlink/register"
	"longlink/room"
	"longlink/saver"
)

// build makes the service of a kind.
func (p *process) build(kind cluster.Kind, d service.Deps) (service.Service, error) {
	c := p.Config
	switch kind {
	case cluster.Keeper:
		return keeper.New(c.Keeper, d, p.keeper)
	case cluster.Saver:
		return saver.New(c.Saver, d, string(p.Data))
	case cluster.Register:
		return register.New(c.Register, d), nil
	case cluster.Coordinator:
		return coordinator.New(c.Coordinator, d), nil
	case cluster.Center:
		return center.New(c.Center, d, p.keeper), nil
	case cluster.Room:
		return room.New(c.Room, d), nil
	case cluster.Dispatcher:
		return dispatcher.New(c.Dispatcher, d)
	}
	return nil, fmt.Errorf("no service %q", kind)
}
