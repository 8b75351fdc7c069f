// Package etcdcluster is an etcd of three members for tests, each a process of its
// own that can be killed as a power cut would. It must not know of Gabion.
package etcdcluster

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// role makes the test binary a member: its value names a directory, the member's
// number and the addresses of all peers.
const role = "GABION_TEST_MEMBER"

// Main is for TestMain: in the process of a member it does not return.
func Main() {
	if argument := os.Getenv(role); argument != "" {
		go func() { // ends with the test, however that ends
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
		runMember(strings.Fields(argument))
		os.Exit(1)
	}
}

// runMember says "ready", or why it does not get there.
func runMember(fields []string) {
	e, err := embed.StartEtcd(config(fields[0], fields[1], fields[2:]))
	if err != nil {
		fmt.Println(err)
		return
	}
	<-e.Server.ReadyNotify()
	fmt.Println("ready")
	fmt.Println(<-e.Err())
}

func config(dir, number string, peers []string) *embed.Config {
	c := embed.NewConfig()
	c.Name, c.Dir, c.LogLevel = "m"+number, filepath.Join(dir, "data"+number), "panic"
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(dir, "c"+number)}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	var initial []string
	for n, peer := range peers {
		at := []url.URL{{Scheme: "http", Host: peer}}
		name := fmt.Sprint("m", n)
		initial = append(initial, name+"="+at[0].String())
		if name == c.Name {
			c.ListenPeerUrls, c.AdvertisePeerUrls = at, at
		}
	}
	c.InitialCluster = strings.Join(initial, ",")
	return c
}

// Cluster is an etcd of three processes.
type Cluster struct {
	Endpoints []string // of its members, by their numbers

	t       *testing.T
	dir     string
	peers   []string
	members []*exec.Cmd
}

// Start runs a cluster until the test ends.
func Start(t *testing.T) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: t.TempDir(), members: make([]*exec.Cmd, 3)}
	for n := range c.members {
		c.peers = append(c.peers, freeAddress(t))
		c.Endpoints = append(c.Endpoints, "unix://"+filepath.Join(c.dir, fmt.Sprint("c", n)))
	}
	t.Cleanup(func() {
		for n := range c.members {
			c.Kill(n)
		}
	})
	ready := make([]func(), len(c.members))
	for n := range c.members {
		ready[n] = c.Revive(n)
	}
	for _, await := range ready {
		await()
	}
	return c
}

// Revive runs a member that does not run. What it returns waits until the member is
// ready: one that finds too few others never is.
func (c *Cluster) Revive(n int) (await func()) {
	c.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+strings.Join(append([]string{c.dir, fmt.Sprint(n)}, c.peers...), " "))
	_, err := cmd.StdinPipe()
	c.must(err)
	out, err := cmd.StdoutPipe()
	c.must(err)
	c.must(cmd.Start())
	c.members[n] = cmd
	return func() {
		c.t.Helper()
		if lines := bufio.NewScanner(out); !lines.Scan() || lines.Text() != "ready" {
			c.t.Fatalf("member %d did not start: %s", n, lines.Text())
		}
	}
}

// Kill ends a member as a power cut would.
func (c *Cluster) Kill(n int) {
	if m := c.members[n]; m != nil {
		_ = m.Process.Kill()
		_ = m.Wait() // it says that it was killed
		c.members[n] = nil
	}
}

// Leader is the number of the member that leads.
func (c *Cluster) Leader() int {
	c.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints, Logger: zap.NewNop()})
	c.must(err)
	defer client.Close()
	for n, endpoint := range c.Endpoints {
		if s, err := client.Status(c.t.Context(), endpoint); err == nil && s.Leader == s.Header.MemberId {
			return n
		}
	}
	c.t.Fatal("nobody leads")
	return 0
}

func (c *Cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// freeAddress is one on this host that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
