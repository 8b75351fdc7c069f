package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/gabion/gabion"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 256 << 20

// codes are what a status of the API means to its caller.
var codes = map[int]gabion.Code{
	http.StatusBadRequest:          gabion.CodeInvalid,
	http.StatusUnauthorized:        gabion.CodeForbidden,
	http.StatusForbidden:           gabion.CodeForbidden,
	http.StatusNotFound:            gabion.CodeNotFound,
	http.StatusConflict:            gabion.CodeConflict,
	http.StatusTooManyRequests:     gabion.CodeLimit,
	http.StatusServiceUnavailable:  gabion.CodeUnavailable,
	http.StatusInternalServerError: gabion.CodeInternal,
}

// decode reads an answer: the value it holds, or the refusal.
func decode[T any](response *http.Response, err error) (T, error) {
	var value T
	if err != nil {
		return value, unreachable(err)
	}
	defer response.Body.Close()
	body, err := readAnswer(response)
	if err != nil {
		return value, err
	}
	if response.StatusCode != http.StatusOK {
		return value, refusal(response, body)
	}
	if err := json.Unmarshal(body, &value); err != nil {
		return value, fmt.Errorf("decode answer of %s: %w; is that a Gabion server?", response.Request.URL, err)
	}
	return value, nil
}

// readAnswer reads all of an answer. Of one that breaks off nobody knows what became
// of what was asked for.
func readAnswer(response *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err == nil {
		return body, nil
	}
	if ended := response.Request.Context().Err(); ended != nil {
		return nil, ended
	}
	return nil, &gabion.Error{Code: gabion.CodeUnavailable, Message: fmt.Sprintf(
		"the answer of %s broke off: %v; what was asked for may have been done: look, and try again", response.Request.URL.Host, cause(err))}
}

// refusal is the server's message, with the class its status stands for.
func refusal(response *http.Response, body []byte) error {
	var answer struct {
		Message string `json:"message"`
		Errors  []struct {
			Location string `json:"location"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Message == "" {
		answer.Message = fmt.Sprintf("%s answers %s; is that a Gabion server?", response.Request.URL, response.Status)
	}
	refused := &gabion.Error{Code: codes[response.StatusCode], Message: answer.Message}
	if len(answer.Errors) > 0 {
		refused.Field = answer.Errors[0].Location
	}
	return refused
}

// unreachable says why no answer came, and what to do about it.
func unreachable(err error) error {
	var (
		failed      *url.Error
		certificate *tls.CertificateVerificationError
	)
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	if !errors.As(err, &failed) {
		return err
	}
	server := "server"
	if u, parseErr := url.Parse(failed.URL); parseErr == nil {
		server = u.Scheme + "://" + u.Host
	}
	if errors.As(err, &certificate) {
		return &gabion.Error{Code: gabion.CodeForbidden, Message: fmt.Sprintf(
			"%s is not trusted: %v; source admin.env of that server, or set SSL_CERT_FILE to its ca.pem", server, certificate.Err)}
	}
	return &gabion.Error{Code: gabion.CodeUnavailable, Message: fmt.Sprintf(
		"can't reach %s: %v; is the server running, and EXOSCALE_API_ENDPOINT right?", server, cause(failed))}
}

// cause is the innermost reason, without the layers that say where it passed.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
