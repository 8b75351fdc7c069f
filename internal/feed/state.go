package feed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/policy"
)

// stateHeader begins a state file. A file of another version is refused like a
// damaged one: the server has a newer copy of all that it holds.
const stateHeader = "gabion state 1\n"

// State is what a host knows: its view, and the store's line of history that the
// view's revision belongs to.
type State struct {
	Epoch string
	View  *policy.View
}

// Encode makes a state file's content: header, SHA-256 of the rest, the rest. The
// digest is that of the view, whatever its revision: equal views, equal digests.
//
// A view of many members takes its time, so it is encoded once for both: its revision
// comes in a field of its own, which whoever decodes the file merges with the rest.
func (s *State) Encode() (file, digest []byte, err error) {
	whole := encodeView(s.View)
	whole.Revision = 0
	view, err := proto.MarshalOptions{Deterministic: true}.Marshal(whole)
	if err != nil {
		return nil, nil, fmt.Errorf("encode state: %w", err)
	}
	body, err := proto.Marshal(&feedpb.State{StoreEpoch: s.Epoch, View: &feedpb.Delta{Revision: s.View.Revision}})
	if err != nil {
		return nil, nil, fmt.Errorf("encode state: %w", err)
	}
	body = protowire.AppendBytes(protowire.AppendTag(body, viewField, protowire.BytesType), view)
	sum, of := sha256.Sum256(body), sha256.Sum256(view)
	return bytes.Join([][]byte{[]byte(stateHeader), sum[:], body}, nil), of[:], nil
}

// viewField is the number of feedpb.State's view.
const viewField = 2

// DecodeState reads the host's state file, and refuses one that is not exactly
// what was written.
func DecodeState(host string, data []byte) (*State, error) {
	rest, ok := bytes.CutPrefix(data, []byte(stateHeader))
	if !ok || len(rest) < sha256.Size {
		return nil, errors.New("decode state: it is not a state file of this version")
	}
	body := rest[sha256.Size:]
	if sha256.Sum256(body) != [sha256.Size]byte(rest) {
		return nil, errors.New("decode state: its checksum is wrong")
	}
	var m feedpb.State
	if err := proto.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	view, err := decodeView(host, m.View)
	if err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	return &State{Epoch: m.StoreEpoch, View: view}, nil
}
