package main

import (
	"context"
	"errors"
	"path/filepath"

	"longlink/scripts/clusterctl/local"
)

type downCmd struct {
	where
	KeepData bool `help:"Keep what the stores hold, and the keys, for the next up."`
}

// Help is the example below the flags.
func (downCmd) Help() string {
	return `Example:
  scripts/cluster down
  scripts/cluster down --keep-data

Ends every process with SIGTERM, with SIGKILL what has not ended after 15 s, and
removes the data. The logs stay in DIR/logs.`
}

// Run ends what runs, however little that is.
func (c *downCmd) Run(context.Context) error {
	unlock, err := local.Lock(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	nodes, err := local.Open(dir)
	stores, hosted := local.StoresOf(dir)
	if err != nil && !(errors.Is(err, local.ErrNone) && hosted) {
		return err
	}
	var errs []error
	if nodes != nil {
		errs = append(errs, nodes.StopAll())
	}
	if hosted {
		errs = append(errs, stores.Stop(dir))
	}
	errs = append(errs, local.Remove(dir, c.KeepData))
	return errors.Join(errs...)
}
