package feed

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/gabion/gabion/internal/pki"
)

// renewalCheck is how often the client looks whether its certificate gets old.
// It looks rather than waits, since clocks are set and machines sleep.
const renewalCheck = 10 * time.Minute

// errRejoin says what is left to a host whose certificate has ended.
func errRejoin(cert *x509.Certificate) error {
	return fmt.Errorf("this host's certificate ended at %s, so it gets no updates; what is in force stays: remove identity.pem from the state directory and start the agent with a new token (gabion host token %s)",
		cert.NotAfter.Format(time.RFC3339), cert.Subject.CommonName)
}

// Renew renews the identity when two thirds of its life are over, until ctx ends.
// A certificate that runs out stops updates, never filtering.
func (c *Client) Renew(ctx context.Context) error {
	for ctx.Err() == nil {
		if id := c.currentIdentity(); pki.RenewalDue(id.Certificate(), time.Now()) {
			if err := c.renewOnce(ctx, id); err != nil && ctx.Err() == nil {
				c.config.Log.Warn("renew certificate", "expires", id.Certificate().NotAfter, "error", err)
			}
		}
		sleep(ctx, renewalCheck)
	}
	return nil
}

// renewOnce takes on the new identity once it is safely stored; the next stream uses it.
func (c *Client) renewOnce(ctx context.Context, old *pki.Identity) error {
	id, err := tryEach(c.servers, func(server string) (*pki.Identity, error) { return renew(ctx, server, old) })
	if err != nil {
		return err
	}
	if err := c.config.SaveIdentity(id); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.identity = id
	c.config.Log.Info("certificate renewed", "expires", id.Certificate().NotAfter)
	return nil
}
