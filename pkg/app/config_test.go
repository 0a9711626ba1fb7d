package app

import (
	"bytes"
	"os"
	"testing"

	"longlink/pkg/config"
)

func defaults() Config { return DefaultConfig(Ports{Host: "127.0.0.1", Base: 7000}) }

// config.yaml at the root is what `longlink config default` prints.
func TestConfigFileEqualsCode(t *testing.T) {
	file, err := os.ReadFile("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, config.Annotated(defaults())) {
		t.Error("config.yaml differs from the code: go run . config default > config.yaml")
	}
}

func TestDefaultsLoad(t *testing.T) {
	c := defaults()
	if _, err := config.Load(&c, config.Options{Data: config.Annotated(defaults()), Name: "default"}); err != nil {
		t.Error(err)
	}
}

func TestPortsOfOneOwnProcess(t *testing.T) {
	p := Ports{Host: "127.0.0.1", Base: 7000}
	for kinds, want := range map[string]string{"room": "127.0.0.1:7906", "keeper": "127.0.0.1:7901"} {
		if got := p.Ops(kindsOf(kinds)); got != want {
			t.Errorf("operations address of %s is %s, want %s", kinds, got, want)
		}
	}
	if got := p.Ops(kindsOf("room", "center")); got != "127.0.0.1:7900" {
		t.Errorf("operations address of two services is %s", got)
	}
	if err := (Ports{Base: 65000}).Validate(); err == nil {
		t.Error("a port base that leaves no port for operations was taken")
	}
}
