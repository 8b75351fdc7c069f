package client

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/gabion/gabion/client/rest"
)

// Client calls one server with one key. It is safe for concurrent use. Errors of
// its methods are *gabion.Error where the server refused or could not be reached.
type Client struct {
	rest    *rest.Client
	streams *rest.Client // whose answers may take as long as they like
}

// New makes a client. It does not call the server yet.
func New(config Config) (*Client, error) {
	endpoint, err := config.endpoint()
	if err != nil {
		return nil, err
	}
	doer, err := config.httpClient()
	if err != nil {
		return nil, err
	}
	endless := *doer
	endless.Timeout = 0
	c := &Client{}
	for to, by := range map[**rest.Client]*http.Client{&c.rest: doer, &c.streams: &endless} {
		*to, err = rest.NewClient(endpoint.String(), rest.WithHTTPClient(by),
			rest.WithRequestEditorFn(addNonce), rest.WithRequestEditorFn(config.identify))
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// addNonce makes every change's signature its own. The server takes a signature
// that it has seen for a repeated request, and answers it without changing anything.
func addNonce(_ context.Context, req *http.Request) error {
	if req.Method != http.MethodGet {
		req.URL.RawQuery = "nonce=" + rand.Text()
	}
	return nil
}

func (c *Config) identify(_ context.Context, req *http.Request) error {
	if c.UserAgent != "" {
		req.Header.Set("User-Agent", c.UserAgent)
	}
	return nil
}
