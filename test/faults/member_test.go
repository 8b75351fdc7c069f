package faults_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/gabion/gabion/internal/lab"
)

// memberRole makes the test binary a member of an etcd cluster.
const memberRole = "GABION_FAULTS_MEMBER"

func init() { roles[memberRole] = runMember }

// member is one of the etcd cluster, as its process is told.
type member struct {
	Dir    string
	Number int
	Peers  []string
	Quota  int64
}

func (m member) socket() string { return filepath.Join(m.Dir, fmt.Sprint("c", m.Number)) }

func runMember(argument string) {
	var m member
	err := json.Unmarshal([]byte(argument), &m)
	if err == nil {
		var e *embed.Etcd
		if e, err = embed.StartEtcd(m.config()); err == nil {
			err = <-e.Err()
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

func (m member) config() *embed.Config {
	c := embed.NewConfig()
	c.Name, c.Dir, c.LogLevel = fmt.Sprint("m", m.Number), filepath.Join(m.Dir, fmt.Sprint("data", m.Number)), "error"
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: m.socket()}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.MaxTxnOps, c.QuotaBackendBytes = 4096, m.Quota
	var initial []string
	for n, peer := range m.Peers {
		initial = append(initial, fmt.Sprintf("m%d=http://%s", n, peer))
	}
	self := []url.URL{{Scheme: "http", Host: m.Peers[m.Number]}}
	c.ListenPeerUrls, c.AdvertisePeerUrls = self, self
	c.InitialCluster = strings.Join(initial, ",")
	return c
}

// cluster is an etcd of several processes.
type cluster struct {
	lab     *lab.Lab
	members []member
	running []*lab.Process
}

// startCluster starts an etcd of so many members.
func (s *site) startCluster(t *testing.T, size int, quota int64) *cluster {
	t.Helper()
	c := &cluster{lab: s.lab, running: make([]*lab.Process, size)}
	var peers []string
	for n := range size {
		peers = append(peers, netip.AddrPortFrom(s.lab.ManagementAddress(), uint16(2380+n)).String())
	}
	for n := range size {
		c.members = append(c.members, member{Dir: s.lab.Dir(), Number: n, Peers: peers, Quota: quota})
		s.endpoints = append(s.endpoints, "unix://"+c.members[n].socket())
	}
	for n := range size {
		c.start(t, n)
	}
	return c
}

func (c *cluster) start(t *testing.T, n int) {
	t.Helper()
	argument, err := json.Marshal(c.members[n])
	must(t, err)
	c.running[n], err = c.lab.Start(nil, fmt.Sprint("member", n), "/usr/bin/env", memberRole+"="+string(argument), os.Args[0])
	must(t, err)
}

// raw is a client of the etcd itself.
func (s *site) raw(t *testing.T) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: s.etcd(), Logger: zap.NewNop(), DialTimeout: patience})
	must(t, err)
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // it has done its work
	return c
}

// leader is the number of the member that leads.
func (s *site) leader(t *testing.T) (leader int) {
	t.Helper()
	client := s.raw(t)
	await(t, "a leader", func() bool {
		for n, endpoint := range s.endpoints {
			if status, err := client.Status(t.Context(), endpoint); err == nil && status.Leader == status.Header.MemberId {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

// writable tells how long it takes until a change is acknowledged again.
func (s *site) writable(t *testing.T) time.Duration {
	t.Helper()
	return await(t, "a change to be accepted", func() bool { return s.write(t) == nil })
}
