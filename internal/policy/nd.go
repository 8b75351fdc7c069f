package policy

import (
	"net/netip"

	"github.com/gabion/gabion"
)

// ICMP and ICMPv6 types that the page names.
const (
	icmpEchoReply   = 0
	icmpUnreachable = 3
	icmpQuench      = 4
	icmpRedirect    = 5
	icmpEcho        = 8
	icmpExceeded    = 11
	icmpParameter   = 12

	icmpv6Unreachable           = 1
	icmpv6TooBig                = 2
	icmpv6Exceeded              = 3
	icmpv6Parameter             = 4
	icmpv6Echo                  = 128
	icmpv6EchoReply             = 129
	icmpv6MLDQuery              = 130
	icmpv6MLDReport             = 131
	icmpv6MLDDone               = 132
	icmpv6RouterSolicitation    = 133
	icmpv6RouterAdvertisement   = 134
	icmpv6NeighborSolicitation  = 135
	icmpv6NeighborAdvertisement = 136
	icmpv6Redirect              = 137
	icmpv6MLDv2Report           = 143
)

// Fixed parts of neighbour discovery messages (RFC 4861, section 4), in bytes.
const (
	solicitationLength  = 24 // also of an advertisement
	routerSolicitLength = 8
	routerAdvertLength  = 16
)

// Options of neighbour discovery (RFC 4861, section 4.6).
const (
	optionSourceLinkLayer = 1
	optionTargetLinkLayer = 2
	maxNDOptions          = 8
)

const (
	ndHopLimit  = 255
	mldHopLimit = 1
)

// ndFromInstance decides neighbour discovery and MLD.
func (w *walk) ndFromInstance() gabion.Reason {
	p := &w.packet
	if !p.isICMPv6() {
		return undecided
	}
	switch p.icmpType() {
	case icmpv6MLDReport, icmpv6MLDDone, icmpv6MLDv2Report:
		return w.mldFromInstance()
	case icmpv6RouterSolicitation:
		return w.solicitFromInstance(routerSolicitLength, optionSourceLinkLayer, w.rsFromInstance)
	case icmpv6NeighborSolicitation:
		return w.solicitFromInstance(solicitationLength, optionSourceLinkLayer, w.nsFromInstance)
	case icmpv6NeighborAdvertisement:
		return w.solicitFromInstance(solicitationLength, optionTargetLinkLayer, w.naFromInstance)
	}
	return undecided
}

func (w *walk) mldFromInstance() gabion.Reason {
	p := &w.packet
	if !w.isOwnLinkLocal(p.source) && !p.source.IsUnspecified() || p.hopLimit != mldHopLimit || p.hasFragmentHeader {
		return gabion.DropNDInvalid
	}
	return gabion.PassND
}

// solicitFromInstance is the beginning of "ND from the instance", for a message
// with that fixed part and with that option for the sender's own MAC. What the
// message says is then decided by says, which is told whether the option was there.
func (w *walk) solicitFromInstance(fixed int, own uint8, says func(hasMAC bool) gabion.Reason) gabion.Reason {
	p := &w.packet
	switch {
	case p.hasFragmentHeader || p.hopLimit != ndHopLimit || p.icmpCode() != 0:
		return gabion.DropNDInvalid
	case len(p.upper) < fixed:
		return gabion.DropMalformed
	}
	hasMAC, reason := w.checkNDOptions(p.upper[fixed:], own)
	if reason != undecided {
		return reason
	}
	return says(hasMAC)
}

// checkNDOptions walks the options and tells whether one holds the NIC's own MAC.
func (w *walk) checkNDOptions(b []byte, own uint8) (hasMAC bool, reason gabion.Reason) {
	for count := 1; len(b) > 0; count++ {
		if count > maxNDOptions || len(b) < 2 || b[1] == 0 || int(b[1])*8 > len(b) {
			return hasMAC, gabion.DropNDInvalid
		}
		if b[0] == own {
			if b[1] != 1 || gabion.MAC(b[2:8]) != w.MAC {
				return hasMAC, gabion.DropNDSpoof
			}
			hasMAC = true
		}
		b = b[int(b[1])*8:]
	}
	return hasMAC, undecided
}

func (p *packet) ndTarget() netip.Addr { return netip.AddrFrom16([16]byte(p.upper[8:24])) }

func (w *walk) nsFromInstance(hasMAC bool) gabion.Reason {
	p := &w.packet
	switch {
	case p.ndTarget().IsMulticast():
		return gabion.DropNDInvalid
	case p.source.IsUnspecified():
		return w.detectDuplicate(p.ndTarget(), hasMAC)
	case !w.isOwn(p.source):
		return gabion.DropIPSpoof
	}
	return gabion.PassND
}

func (w *walk) naFromInstance(bool) gabion.Reason {
	switch p := &w.packet; {
	case !w.isOwn(p.source):
		return gabion.DropIPSpoof
	case !w.isOwn(p.ndTarget()):
		return gabion.DropNDSpoof
	}
	return gabion.PassND
}

func (w *walk) rsFromInstance(bool) gabion.Reason {
	if !w.isOwnLinkLocal(w.packet.source) {
		return gabion.DropIPSpoof
	}
	return gabion.PassND
}

// ndToInstance decides neighbour solicitations and neighbour and router advertisements.
func (w *walk) ndToInstance() gabion.Reason {
	p := &w.packet
	if !p.isICMPv6() {
		return undecided
	}
	fixed := solicitationLength
	switch p.icmpType() {
	case icmpv6NeighborSolicitation, icmpv6NeighborAdvertisement:
	case icmpv6RouterAdvertisement:
		fixed = routerAdvertLength
	default:
		return undecided
	}
	if p.hasFragmentHeader || p.hopLimit != ndHopLimit || p.icmpCode() != 0 || len(p.upper) < fixed {
		return gabion.DropNDInvalid
	}
	if w.isNDForInstance() {
		return gabion.PassND
	}
	return gabion.DropNotForNIC
}

func (w *walk) isNDForInstance() bool {
	p := &w.packet
	switch p.icmpType() {
	case icmpv6NeighborSolicitation:
		return w.isOwn(p.ndTarget())
	case icmpv6NeighborAdvertisement:
		w.withdraw(p.ndTarget())
		return w.isForMAC()
	default: // a router advertisement
		return p.source.IsLinkLocalUnicast() && isNamed(w.config.Routers, p.source)
	}
}

// mldToInstance lets the queries of routers in.
func (w *walk) mldToInstance() gabion.Reason {
	p := &w.packet
	if p.isICMPv6() && p.icmpType() == icmpv6MLDQuery && !p.hasFragmentHeader &&
		p.source.IsLinkLocalUnicast() && p.hopLimit == mldHopLimit {
		return gabion.PassND
	}
	return undecided
}
