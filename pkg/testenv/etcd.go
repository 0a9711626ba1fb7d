package testenv

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
)

// EtcdServer is a single etcd member.
type EtcdServer struct {
	*Server
	Endpoints []string // client URLs, http://host:port
}

// StartEtcd starts an etcd with its data in dir, which must exist.
func StartEtcd(dir string, opts ...Option) (*EtcdServer, error) {
	path, err := find("etcd", "etcd-server")
	if err != nil {
		return nil, err
	}
	var urls [2]string // client, peer
	for i := range urls {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		urls[i] = "http://" + loopback(port)
	}
	args := append([]string{
		"--name", "test", "--data-dir", filepath.Join(dir, "etcd"),
		"--listen-client-urls", urls[0], "--advertise-client-urls", urls[0],
		"--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1],
		"--initial-cluster", "test=" + urls[1],
		"--log-level", "error",
	}, join(opts).args...)
	server, err := newServer("etcd", dir, Command{Path: path, Args: args, Env: []string{"ETCDCTL_API=3"}},
		func(ctx context.Context) error { return askEtcd(ctx, urls[0]) })
	if err != nil {
		return nil, err
	}
	return &EtcdServer{Server: server, Endpoints: []string{urls[0]}}, nil
}

// askEtcd asks for /health, which is true once the member has a leader and
// can commit.
func askEtcd(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/health", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"true"`) {
		return fmt.Errorf("/health answered %s: %s", resp.Status, body)
	}
	return nil
}
