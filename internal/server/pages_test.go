package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/etcdcluster"
	"github.com/gabion/gabion/internal/server"
)

// TestEveryServerShowsWhatAnyAcknowledged asks the one server for what the other has
// just made or deleted, without giving it time: it answers out of its own memory, but
// not before that is as new. It learns of changes late, so that it has to wait.
func TestEveryServerShowsWhatAnyAcknowledged(t *testing.T) {
	const late = 50 * time.Millisecond
	cluster := etcdcluster.Start(t)
	first, dir, _ := startOn(t, cluster.Endpoints, "")
	second, dir2, _ := startOn(t, cluster.Endpoints, dir, func(s *server.Server) { s.LearnLate(late) })
	at1, _ := operator(t, dir, first)
	at2, _ := operator(t, dir2, second)
	awaitReady(t, dir2, second.Addr())

	for n := range 5 {
		made, err := at1.CreateGroup(t.Context(), rest.CreateSecurityGroupRequest{Name: fmt.Sprint("group", n)})
		must(t, err)
		group := made.Reference.ID
		if usage, err := at2.GroupUsage(t.Context(), group); err != nil || len(usage.Instances) > 0 {
			t.Fatalf("just created: %+v, %v", usage, err)
		}
		_, err = at1.CreateInstance(t.Context(), rest.CreateInstanceRequest{
			Name: fmt.Sprint("vm", n), SecurityGroups: []rest.Identified{{ID: group}},
		})
		must(t, err)
		usage, err := at2.GroupUsage(t.Context(), group)
		if err != nil || len(usage.Instances) != 1 {
			t.Fatalf("just joined: %+v, %v", usage, err)
		}
		_, err = at1.DeleteInstance(t.Context(), usage.Instances[0].ID)
		must(t, err)
		_, err = at1.DeleteGroup(t.Context(), group)
		must(t, err)
		if _, err := at2.GroupUsage(t.Context(), group); gabion.CodeOf(err) != gabion.CodeNotFound {
			t.Fatalf("just deleted: %v", err)
		}
	}
}

// TestPagesWithoutQuorum holds that what comes out of memory is shown without quorum,
// too, and says that it may be stale.
func TestPagesWithoutQuorum(t *testing.T) {
	cluster := etcdcluster.Start(t)
	s, dir, _ := startOn(t, cluster.Endpoints, "")
	c, warning := operator(t, dir, s)
	made, err := c.CreateGroup(t.Context(), rest.CreateSecurityGroupRequest{Name: "web"})
	must(t, err)
	_, err = c.Wait(t.Context(), made)
	must(t, err)

	cluster.Kill(0)
	cluster.Kill(1)
	begin := time.Now()
	usage, err := c.GroupUsage(t.Context(), made.Reference.ID)
	if took := time.Since(begin); err != nil || len(usage.Instances) != 0 || took > most {
		t.Errorf("%+v after %s, %v", usage, took, err)
	}
	if w := warning.Load(); w != `110 gabion "Response is Stale"` {
		t.Errorf("the answer has the warning %q", w)
	}
}
