package cli

import (
	"fmt"
	"os"

	"longlink/pkg/app"
	"longlink/pkg/config"
)

type configCmd struct {
	Default configDefault `cmd:"" help:"Print the annotated default."`
	Check   configCheck   `cmd:"" help:"Check a file without starting anything."`
}

type configDefault struct{}

// Help is the example below the flags.
func (configDefault) Help() string { return "Example:\n  longlink config default > longlink.yaml" }

// Run prints what config.yaml in the repository holds.
func (configDefault) Run(s streams) error {
	_, err := s.out.Write(config.Annotated(app.DefaultConfig(app.Ports{Host: "127.0.0.1", Base: 7000})))
	return err
}

type configCheck struct {
	File string `arg:"" help:"The file."`
}

// Help is the example below the flags.
func (configCheck) Help() string { return "Example:\n  longlink config check longlink.yaml" }

// Run loads the file over the defaults, with the environment as serve would.
func (c *configCheck) Run(s streams) error {
	cfg := app.DefaultConfig(app.Ports{Host: "127.0.0.1", Base: 7000})
	if _, err := config.Load(&cfg, config.Options{File: c.File, Env: os.Environ()}); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is good\n", c.File)
	return nil
}
