package datapath

import (
	"slices"
	"testing"
	"time"

	"github.com/gabion/gabion"
)

// life is what a NIC lives through: frames, and what happens between them.
type life struct {
	name  string
	steps []step
}

// step is one frame with its reason, or something that happens.
type step struct {
	direction gabion.Direction
	frame     []byte
	want      gabion.Reason
	happens   func(*programs)
}

// sends is a frame that the guest sends.
func sends(frame []byte, want gabion.Reason) step {
	return step{direction: gabion.Egress, frame: frame, want: want}
}

// gets is a frame on its way to the guest.
func gets(frame []byte, want gabion.Reason) step {
	return step{direction: gabion.Ingress, frame: frame, want: want}
}

// then is what happens between frames.
func then(happens func(*programs)) step { return step{happens: happens} }

// after is time that passes.
func after(d time.Duration) step { return then(func(w *programs) { w.sleep(d) }) }

func (s step) run(w *programs, i int) {
	w.Helper()
	if s.happens != nil {
		s.happens(w)
		return
	}
	if got := w.run(s.direction, s.frame); got.reason != s.want {
		w.Errorf("frame %d, %s: got %s, want %s\n%x", i+1, s.direction, got.reason, s.want, s.frame)
	}
}

// TestLives runs every life, and holds that they meet every reason there is and
// that each life that meets a drop has its control: a frame that passes.
func TestLives(t *testing.T) {
	w := newOrdinary(t)
	met := map[gabion.Reason]bool{}
	for _, l := range slices.Concat(
		linkLives, parseLives, ndLives, dadLives, dhcpLives, fragmentLives, flowLives, tcpLives, icmpErrorLives, ruleLives,
	) {
		t.Run(l.name, func(t *testing.T) {
			w.TB = t
			w.reset()
			for i, s := range l.steps {
				s.run(w, i)
				met[s.want] = true
			}
			if !slices.ContainsFunc(l.steps, func(s step) bool { return s.want.Verdict() == gabion.Pass }) {
				t.Error("has no frame that passes")
			}
		})
	}
	w.TB = t
	for _, r := range gabion.Reasons() {
		if !met[r] {
			t.Errorf("no life meets %s", r)
		}
	}
}

// both is a life in each family: f makes its frames with ip4 and with ip6.
func both(name string, f func(ip packetMaker) []step) []life {
	return []life{
		{name: name + ", IPv4", steps: f(ip4)},
		{name: name + ", IPv6", steps: f(ip6)},
	}
}

// packetMaker is ip4 or ip6.
type packetMaker func(from, to machine, protocol uint8, payload []byte, edits ...edit) []byte
