package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
)

const identityFile = "identity.pem"

// enrolment is how a host comes to its identity: it has one, or it joins.
type enrolment struct {
	servers   []string
	tokenFile string
	path      string // of the identity

	kept  *pki.Identity // nil if the host has to join
	token pki.JoinToken
}

// load finds out who the host is, or may become, without asking anybody.
func (e *enrolment) load() (err error) {
	e.kept, err = pki.LoadIdentity(e.path)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: remove it and join again with a new token", err)
	case e.tokenFile == "":
		return errors.New("this host has not joined: give --token-file a file with what `gabion host token NAME` prints")
	}
	text, err := os.ReadFile(e.tokenFile)
	if err != nil {
		return fmt.Errorf("read join token: %w", err)
	}
	if e.token, err = pki.ParseToken(string(text)); err != nil {
		return fmt.Errorf("read join token %s: %w", e.tokenFile, err)
	}
	return nil
}

// host is the host's name.
func (e *enrolment) host() string {
	if e.kept != nil {
		return e.kept.Host
	}
	return e.token.Host
}

// identity is who the host is; it joins if it has to.
func (e *enrolment) identity(ctx context.Context) (*pki.Identity, error) {
	if e.kept != nil {
		return e.kept, nil
	}
	id, err := feed.JoinAny(ctx, e.servers, e.token)
	if err != nil {
		return nil, err
	}
	return id, id.Save(e.path)
}
