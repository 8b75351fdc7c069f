package policy

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/gabion/gabion"
)

const (
	arpLength   = 28
	arpRequest  = 1
	arpReply    = 2
	rarpRequest = 3 // "request reverse", RFC 903
)

// arpForm is hardware and protocol type, and their lengths: Ethernet and IPv4.
var arpForm = []byte{0, 1, 8, 0, 6, 4}

// arp is an ARP or RARP message over Ethernet and IPv4.
type arp struct {
	operation            uint16
	senderMAC, targetMAC gabion.MAC
	senderIP, targetIP   netip.Addr
}

func parseARP(b []byte) (arp, bool) {
	if len(b) < arpLength || !bytes.Equal(b[:6], arpForm) {
		return arp{}, false
	}
	return arp{
		operation: binary.BigEndian.Uint16(b[6:]),
		senderMAC: gabion.MAC(b[8:14]),
		senderIP:  netip.AddrFrom4([4]byte(b[14:18])),
		targetMAC: gabion.MAC(b[18:24]),
		targetIP:  netip.AddrFrom4([4]byte(b[24:28])),
	}, true
}

func (a *arp) isRequestOrReply() bool { return a.operation == arpRequest || a.operation == arpReply }

func (w *walk) rarpFromInstance() gabion.Reason {
	a, ok := parseARP(w.ethernet.payload)
	switch {
	case !ok || a.operation != rarpRequest:
		return gabion.DropARPInvalid
	case a.senderMAC != w.MAC || a.targetMAC != w.MAC:
		return gabion.DropARPSpoof
	case !w.rarp.take(w.now):
		return gabion.DropRARPRate
	}
	return gabion.PassARP
}

func (w *walk) arpFromInstance() gabion.Reason {
	a, ok := parseARP(w.ethernet.payload)
	isProbe := a.operation == arpRequest && a.senderIP.IsUnspecified()
	switch {
	case !ok || !a.isRequestOrReply():
		return gabion.DropARPInvalid
	case a.senderMAC != w.MAC:
		return gabion.DropARPSpoof
	case !w.owns(a.senderIP) && !isProbe:
		return gabion.DropARPSpoof
	case isGroupMAC(w.ethernet.destination) && w.ethernet.destination != broadcastMAC:
		return gabion.DropMulticast
	}
	return gabion.PassARP
}

func (w *walk) arpToInstance() gabion.Reason {
	a, ok := parseARP(w.ethernet.payload)
	isBroadcast := w.ethernet.destination == broadcastMAC
	switch {
	case !ok || !a.isRequestOrReply():
		return gabion.DropARPInvalid
	case w.isForMAC(),
		isBroadcast && a.operation == arpRequest && w.owns(a.targetIP),
		isBroadcast && a.senderIP == a.targetIP && !w.owns(a.senderIP):
		return gabion.PassARP
	}
	return gabion.DropNotForNIC
}
