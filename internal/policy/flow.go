package policy

import "github.com/gabion/gabion"

// ticks count 2²⁰ ns of the monotonic clock, wrapping.
type ticks uint32

func ticksOf(now uint64) ticks { return ticks(now >> 20) }

// ticksIn is how many whole ticks are in that many seconds.
func ticksIn(seconds uint64) ticks { return ticks(seconds * second >> 20) }

// collectAfter is how long an expired flow stays at least, in seconds.
const collectAfter = 5

// flowState is how far a flow is.
type flowState uint8

const (
	halfOpen    flowState = iota // nothing came back yet
	synAcked                     // TCP: SYN+ACK came back
	established                  // something came back; TCP: the opener then sent ACK
	closing                      // TCP: FIN from both sides, or a RST in window
)

// flow is what a NIC remembers of packets that passed.
type flow struct {
	direction gabion.Direction // of its first packet
	state     flowState
	settled   bool   // it is in the NIC's table
	view      uint32 // under which it was judged
	rule      string // id of the rule that admitted it
	lastSeen  ticks
	opener    Question // what the first packet asked the rules
	sides     [2]side  // TCP, by direction
}

// timeout is how long a flow lives unseen, in seconds.
func (f *flow) timeout(protocol uint8) uint64 {
	switch protocol {
	case protocolTCP:
		return [...]uint64{halfOpen: 60, synAcked: 60, established: 8000, closing: 10}[f.state]
	case protocolUDP:
		return [...]uint64{halfOpen: 30, established: 180}[f.state]
	}
	if f.opener.isICMP() {
		return 30
	}
	return 600
}

func (f *flow) isLive(protocol uint8, now ticks) bool {
	return now-f.lastSeen <= ticksIn(f.timeout(protocol))
}

// live is the live flow of that key, if there is one.
func (w *walk) live(key flowKey) *flow {
	f := w.flows[key]
	if f == nil || !f.isLive(key.protocol, ticksOf(w.now)) {
		return nil
	}
	return f
}

// forget drops what is left under the key.
func (s *state) forget(key flowKey) {
	if f := s.flows[key]; f != nil && f.settled {
		s.settled--
	}
	delete(s.flows, key)
}

// judge is "Flows".
func (w *walk) judge(s segment) Result {
	if f := w.quotedFlow(&s); f != nil {
		if rule, ok := w.stillAdmitted(f); ok {
			return Result{Reason: gabion.PassICMPError, Rule: rule}
		}
	}
	if !s.isTracked() {
		return w.ask(&s)
	}
	key := s.key(w.direction, w.packet.source, w.packet.destination)
	f := w.live(key)
	if f == nil || f.state == closing && s.opens() {
		return w.withoutFlow(key, &s)
	}
	return w.ofFlow(key, f, &s)
}

// ask asks the rules about the segment itself.
func (w *walk) ask(s *segment) Result { return w.rules.ask(w.question(s)) }

func (w *walk) question(s *segment) Question {
	remote := w.packet.source
	if w.direction == gabion.Egress {
		remote = w.packet.destination
	}
	return s.question(w.direction, remote)
}

// withoutFlow is "No live flow", for what is tracked.
func (w *walk) withoutFlow(key flowKey, s *segment) Result {
	if s.isTCP() && !s.opens() {
		return Result{Reason: gabion.DropNoFlow}
	}
	answer := w.ask(s)
	if answer.Verdict() == gabion.Drop || s.isEchoReply() {
		return answer
	}
	return w.begin(key, s, answer)
}

// begin makes a half-open flow of a segment that the rules admit.
func (w *walk) begin(key flowKey, s *segment, answer Result) Result {
	f := &flow{
		direction: w.direction,
		view:      w.view,
		rule:      answer.Rule,
		lastSeen:  ticksOf(w.now),
		opener:    w.question(s),
	}
	f.sides[w.direction].move(&s.tcp)
	w.forget(key)
	w.flows[key] = f
	return answer
}

// ofFlow is "A packet of a live flow".
func (w *walk) ofFlow(key flowKey, f *flow, s *segment) Result {
	rule, ok := w.stillAdmitted(f)
	if !ok {
		return w.ofRevoked(key, s)
	}
	if f.isSettledBy(s, w.direction) {
		if w.settled >= w.config.MaxFlows {
			return Result{Reason: gabion.DropTableFull}
		}
		f.settled = true
		w.settled++
	}
	f.view, f.rule = w.view, rule
	f.pass(s, w.direction, ticksOf(w.now))
	return Result{Reason: gabion.PassFlow, Rule: rule}
}

// stillAdmitted tells whether the rules admit what opened the flow, and which does.
func (w *walk) stillAdmitted(f *flow) (rule string, ok bool) {
	if f.view == w.view || w.rules.admits(f.rule, f.opener) {
		return f.rule, true
	}
	answer := w.rules.ask(f.opener)
	return answer.Rule, answer.Verdict() == gabion.Pass
}

// ofRevoked decides a packet of a flow that the rules admit no more. It may be
// one that they admit by itself.
func (w *walk) ofRevoked(key flowKey, s *segment) Result {
	if answer := w.ask(s); !s.isTCP() && answer.Verdict() == gabion.Pass {
		if s.isEchoReply() {
			return answer
		}
		return w.begin(key, s, answer)
	}
	return Result{Reason: gabion.DropRevoked}
}

// isSettledBy tells whether the segment moves the flow into the NIC's table: the
// opener speaks again after an answer.
func (f *flow) isSettledBy(s *segment, d gabion.Direction) bool {
	switch {
	case f.settled || d != f.direction:
		return false
	case s.isTCP():
		return f.state == synAcked && f.after(s, d) == established
	}
	return f.state == established
}

// isAnsweredBy tells whether the segment is the first answer.
func (f *flow) isAnsweredBy(s *segment, d gabion.Direction) bool {
	return f.state == halfOpen && d != f.direction && (!s.isTCP() || s.tcp.has(tcpSYN|tcpACK))
}

// pass moves the flow on by a packet that passes in direction d.
func (f *flow) pass(s *segment, d gabion.Direction, now ticks) {
	next := f.after(s, d)
	if next != f.state || now-f.lastSeen >= ticksIn(1) {
		f.lastSeen = now
	}
	f.state = next
	if s.isTCP() {
		f.sides[d].move(&s.tcp)
	}
}

// after is the state after a segment: the last condition that holds decides.
func (f *flow) after(s *segment, d gabion.Direction) flowState {
	next := f.state
	if f.isAnsweredBy(s, d) {
		next = synAcked
		if !s.isTCP() {
			next = established
		}
	}
	if s.isTCP() {
		next = f.afterTCP(next, &s.tcp, d)
	}
	return next
}

func (f *flow) afterTCP(next flowState, t *tcp, d gabion.Direction) flowState {
	if f.state == synAcked && d == f.direction && t.has(tcpACK) && !t.has(tcpSYN) && !t.has(tcpRST) {
		next = established
	}
	if t.has(tcpFIN) && f.sides[d.Opposite()].fin {
		next = closing
	}
	if t.has(tcpRST) && f.isResetInWindow(t, d) {
		next = closing
	}
	return next
}

// isResetInWindow tells whether whoever sends the RST knows the connection.
func (f *flow) isResetInWindow(t *tcp, d gabion.Direction) bool {
	own, other := &f.sides[d], &f.sides[d.Opposite()]
	if f.state == halfOpen && d != f.direction {
		return t.has(tcpACK) && other.end.is(t.ack)
	}
	return t.numbered && own.end.known && other.ack.known &&
		!isBefore(t.sequence, other.ack.value) && !isBefore(own.end.value, t.sequence)
}

// side is what one side of a TCP connection did.
type side struct {
	end mark // of what it sent
	ack mark // the highest acknowledgment it gave
	fin bool
}

// move remembers a segment of that side.
func (s *side) move(t *tcp) {
	s.fin = s.fin || t.has(tcpFIN)
	if !t.numbered || t.has(tcpRST) {
		return
	}
	s.end.move(t.end)
	if t.has(tcpACK) {
		s.ack.move(t.ack)
	}
}

// mark is a sequence number that only moves forward.
type mark struct {
	known bool
	value uint32
}

const maxMove = 1 << 30

func (m *mark) move(to uint32) {
	if !m.known || to-m.value < maxMove {
		*m = mark{known: true, value: to}
	}
}

func (m *mark) is(value uint32) bool { return m.known && m.value == value }

// isBefore compares sequence numbers, by the sign of their difference.
func isBefore(a, b uint32) bool { return int32(a-b) < 0 }
