package feed

import (
	"errors"
	"fmt"
	"net/netip"
	"unicode/utf8"

	"github.com/gabion/gabion"
)

// What is checked here holds at both ends. The server leaves out what does not
// pass, so that a damaged object in the store never keeps a host from the others;
// the host refuses whatever still comes.

// maxID is how long an id may be.
const maxID = 255

func checkIDs(ids []string) error {
	for _, id := range ids {
		if id == "" || len(id) > maxID || !utf8.ValidString(id) {
			return fmt.Errorf("%q is not an id", id)
		}
	}
	return nil
}

func checkGroup(g *gabion.Group) error {
	if err := checkIDs([]string{g.ID, g.Organization}); err != nil {
		return err
	}
	for _, p := range g.Sources {
		if err := checkNetwork(p); err != nil {
			return err
		}
	}
	return g.Validate()
}

func checkRule(r *gabion.Rule) error {
	if err := checkIDs([]string{r.ID, r.Group}); err != nil {
		return err
	}
	if r.Direction != gabion.Ingress && r.Direction != gabion.Egress {
		return fmt.Errorf("%d is not a direction", uint8(r.Direction))
	}
	if _, err := gabion.ParseProtocol(r.Protocol.String()); err != nil {
		return err
	}
	if r.Peer.IsGroup() {
		if err := checkIDs([]string{r.Peer.Group}); err != nil {
			return err
		}
	} else if err := checkNetwork(r.Peer.Network); err != nil {
		return err
	}
	return r.Validate()
}

func checkInstance(i *gabion.Instance) error {
	if err := checkIDs([]string{i.ID, i.Organization}); err != nil {
		return err
	}
	if err := checkIDs(i.Groups); err != nil {
		return err
	}
	if len(i.Groups) == 0 {
		return errors.New("it holds no group")
	}
	return i.Validate()
}

func checkNetwork(p netip.Prefix) error {
	if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
		return fmt.Errorf("%s is not a canonical network", p)
	}
	return nil
}
