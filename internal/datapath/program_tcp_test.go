package datapath

import (
	"slices"
	"time"

	"github.com/gabion/gabion"
)

// connection is a TCP connection from a client's port 40000 to a server's 22.
type connection struct {
	ip             packetMaker
	client, server machine
}

func (c connection) says(flags uint8, seq, ack uint32, payload int) []byte {
	return c.ip(c.client, c.server, protoTCP, segment{40000, 22, flags, seq, ack, payload}.bytes())
}

func (c connection) answers(flags uint8, seq, ack uint32, payload int) []byte {
	return c.ip(c.server, c.client, protoTCP, segment{22, 40000, flags, seq, ack, payload}.bytes())
}

// opens is a handshake, with 1000 bytes from the client and 2000 from the server.
func (c connection) opens() []step {
	return []step{
		gets(c.says(syn, 1000, 0, 0), gabion.PassRule),
		sends(c.answers(syn|ack, 5000, 1001, 0), gabion.PassFlow),
		gets(c.says(ack, 1001, 5001, 0), gabion.PassFlow),
		gets(c.says(ack|push, 1001, 5001, 1000), gabion.PassFlow),
		sends(c.answers(ack|push, 5001, 2001, 2000), gabion.PassFlow),
	}
}

// isOpen holds that the connection has no short timeout.
func (c connection) isOpen() []step {
	return []step{after(7000 * time.Second), gets(c.says(ack, 2001, 7001, 0), gabion.PassFlow)}
}

// isClosing holds that it has one.
func (c connection) isClosing() []step {
	return []step{
		gets(c.says(ack, 2001, 7001, 0), gabion.PassFlow),
		after(11 * time.Second),
		gets(c.says(ack, 2001, 7001, 0), gabion.DropNoFlow),
		sends(c.answers(ack, 7001, 2001, 0), gabion.DropNoFlow),
	}
}

var tcpLives = slices.Concat(
	both("what opens no connection", func(ip packetMaker) (steps []step) {
		for flags := range 256 {
			want := gabion.DropNoFlow
			if flags&(syn|ack|rst|fin) == syn {
				want = gabion.PassRule
			}
			frame := ip(peer, guest, protoTCP, tcp(uint16(1000+flags), 22, uint8(flags)))
			steps = append(steps, gets(frame, want))
		}
		return append(steps, gets(ip(peer, guest, protoTCP, segment{9, 22, syn, 1, 0, 100}.bytes()), gabion.PassRule))
	}),
	connections("open", func(c connection) []step { return append(c.opens(), c.isOpen()...) }),
	connections("established, idle for long", func(c connection) []step {
		return append(c.opens(), after(8001*time.Second), gets(c.says(ack, 2001, 7001, 0), gabion.DropNoFlow))
	}),
	connections("never answered", func(c connection) []step {
		return []step{
			gets(c.says(syn, 1000, 0, 0), gabion.PassRule),
			after(59 * time.Second),
			gets(c.says(syn, 1000, 0, 0), gabion.PassFlow),
			after(61 * time.Second),
			sends(c.answers(syn|ack, 1, 1001, 0), gabion.DropNoFlow),
		}
	}),
	connections("answered, never confirmed", func(c connection) []step {
		return []step{
			gets(c.says(syn, 1000, 0, 0), gabion.PassRule),
			sends(c.answers(ack, 4999, 1001, 0), gabion.PassFlow), // no answer yet: half-open
			sends(c.answers(syn|ack, 5000, 1001, 0), gabion.PassFlow),
			sends(c.answers(ack, 5001, 1001, 0), gabion.PassFlow),
			gets(c.says(syn|ack, 1000, 5001, 0), gabion.PassFlow),
			after(61 * time.Second),
			gets(c.says(ack, 1001, 5001, 0), gabion.DropNoFlow),
		}
	}),
	connections("closed by both", func(c connection) []step {
		return slices.Concat(c.opens(), []step{
			gets(c.says(fin|ack, 2001, 7001, 0), gabion.PassFlow),
			after(100 * time.Second),
			sends(c.answers(ack, 7001, 2002, 500), gabion.PassFlow), // half closed
			after(100 * time.Second),
			sends(c.answers(fin|ack, 7501, 2002, 0), gabion.PassFlow),
		}, c.isClosing())
	}),
	connections("closed, and opened again at once", func(c connection) []step {
		return slices.Concat(c.opens(), []step{
			gets(c.says(syn, 9000, 0, 0), gabion.PassFlow), // in an open connection, a SYN is only strange
			gets(c.says(fin|ack, 2001, 7001, 0), gabion.PassFlow),
			sends(c.answers(fin|ack, 7001, 2002, 0), gabion.PassFlow),
			gets(c.says(syn, 99000, 0, 0), gabion.PassRule),
			sends(c.answers(syn|ack, 88000, 99001, 0), gabion.PassFlow),
			gets(c.says(ack, 99001, 88001, 0), gabion.PassFlow),
			after(100 * time.Second),
			gets(c.says(ack, 99001, 88001, 0), gabion.PassFlow),
		})
	}),
	connections("closed, and opened by the other side", func(c connection) []step {
		return slices.Concat(c.opens(), []step{
			gets(c.says(fin|ack, 2001, 7001, 0), gabion.PassFlow),
			sends(c.answers(fin|ack, 7001, 2002, 0), gabion.PassFlow),
			sends(c.answers(syn, 1, 0, 0), gabion.PassEgressOpen),
			gets(c.says(syn|ack, 1, 2, 0), gabion.PassFlow),
			sends(c.answers(ack, 2, 2, 0), gabion.PassFlow),
		})
	}),
	connections("closed, may not be opened again without a rule", func(c connection) []step {
		return slices.Concat(c.opens(), []step{
			gets(c.says(fin|ack, 2001, 7001, 0), gabion.PassFlow),
			sends(c.answers(fin|ack, 7001, 2002, 0), gabion.PassFlow),
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.TCP, 22, 16) }),
			gets(c.says(syn, 99000, 0, 0), gabion.DropDeniedIngress),
			gets(c.says(ack, 2002, 7002, 0), gabion.DropRevoked),
		})
	}),
	resets(),
	connections("refused", func(c connection) []step {
		return []step{
			gets(c.says(syn, 1000, 0, 10), gabion.PassRule),
			sends(c.answers(rst, 0, 1011, 0), gabion.PassFlow),
			sends(c.answers(rst|ack, 0, 1001, 0), gabion.PassFlow),
			after(20 * time.Second),
			sends(c.answers(rst|ack, 0, 1011, 0), gabion.PassFlow), // the right one
			gets(c.says(syn, 2000, 0, 0), gabion.PassRule),         // so it may try again
			sends(c.answers(rst|ack, 0, 2001, 0), gabion.PassFlow),
			after(11 * time.Second),
			sends(c.answers(rst|ack, 0, 2001, 0), gabion.DropNoFlow),
		}
	}),
	connections("opened by both", func(c connection) []step {
		return []step{
			gets(c.says(syn, 1000, 0, 0), gabion.PassRule),
			sends(c.answers(syn, 5000, 0, 0), gabion.PassFlow),
			gets(c.says(syn|ack, 1000, 5001, 0), gabion.PassFlow),
			sends(c.answers(syn|ack, 5000, 1001, 0), gabion.PassFlow),
			gets(c.says(ack, 1001, 5001, 0), gabion.PassFlow),
			after(100 * time.Second),
			sends(c.answers(ack, 5001, 1001, 0), gabion.PassFlow),
		}
	}),
	connections("revoked", func(c connection) []step {
		return slices.Concat(c.opens(), []step{
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.TCP, 22, 16) }),
			gets(c.says(ack, 2001, 7001, 0), gabion.DropRevoked),
			sends(c.answers(ack, 7001, 2001, 100), gabion.DropRevoked),
			sends(c.answers(syn, 7001, 0, 0), gabion.DropRevoked),
			after(3000 * time.Second),
			then(func(w *programs) { w.rules.allow(rulePeerSSH, gabion.Ingress, peerGroup, gabion.TCP, 22, 16) }),
			sends(c.answers(ack, 7001, 2001, 100), gabion.PassFlow),
		}, c.isOpen())
	}),
	connections("dropped packets don't keep it", func(c connection) []step {
		return slices.Concat(c.opens(), []step{
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.TCP, 22, 16) }),
			after(5000 * time.Second),
			gets(c.says(ack, 2001, 7001, 0), gabion.DropRevoked),
			after(5000 * time.Second),
			gets(c.says(ack, 2001, 7001, 0), gabion.DropNoFlow),
		})
	}),
)

// resets is one life for each RST, of an open connection.
func resets() (lives []life) {
	c := connection{ip4, peer, guest}
	for _, r := range []struct {
		name   string
		step   step
		closes bool
	}{
		{"at the client's end", gets(c.says(rst, 2001, 0, 0), gabion.PassFlow), true},
		{"at what the server acknowledged", gets(c.says(rst|ack, 2001, 5001, 0), gabion.PassFlow), true},
		{"behind the client's end", gets(c.says(rst, 2002, 0, 0), gabion.PassFlow), false},
		{"before what the server acknowledged", gets(c.says(rst, 2000, 0, 0), gabion.PassFlow), false},
		{"far away", gets(c.says(rst, 0x80000000, 0, 0), gabion.PassFlow), false},
		{"at the server's end", sends(c.answers(rst, 7001, 0, 0), gabion.PassFlow), true},
		{"within what the client has yet to acknowledge", sends(c.answers(rst, 6000, 0, 0), gabion.PassFlow), true},
		{"at what the client acknowledged", sends(c.answers(rst, 5001, 0, 0), gabion.PassFlow), true},
		{"before what the client acknowledged", sends(c.answers(rst, 5000, 0, 0), gabion.PassFlow), false},
		{"behind the server's end", sends(c.answers(rst, 7002, 0, 0), gabion.PassFlow), false},
	} {
		steps := append(c.opens(), r.step)
		if r.closes {
			steps = append(steps, c.isClosing()...)
		} else {
			steps = append(steps, c.isOpen()...)
		}
		lives = append(lives, life{"a reset " + r.name, steps})
	}
	return append(lives, movedWindow())
}

// movedWindow is a connection whose numbers jump: only what moves forward, and not too far, counts.
func movedWindow() life {
	c := connection{ip6, peer, guest}
	return life{"a reset after numbers that jump", slices.Concat(c.opens(), []step{
		gets(c.says(ack, 2001+1<<30, 7001, 0), gabion.PassFlow), // too far: the end stays
		gets(c.says(ack, 1500, 7001, 10), gabion.PassFlow),      // back: stays
		gets(c.says(rst, 2001+1<<30, 0, 0), gabion.PassFlow),
		after(100 * time.Second),
		gets(c.says(ack, 2001+1<<30-1, 7001, 0), gabion.PassFlow), // just not too far
		gets(c.says(rst, 2001+1<<30-1, 0, 0), gabion.PassFlow),
		after(11 * time.Second),
		gets(c.says(ack, 2001, 7001, 0), gabion.DropNoFlow),
	})}
}

func connections(name string, f func(connection) []step) []life {
	return []life{
		{"a connection " + name + ", IPv4", f(connection{ip4, peer, guest})},
		{"a connection " + name + ", IPv6", f(connection{ip6, peer, guest})},
	}
}
