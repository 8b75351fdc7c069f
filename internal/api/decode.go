package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/gabion/gabion"
)

// maxDepth is how deep objects and lists in a body may be nested.
const maxDepth = 16

// decode reads the body of one of the public API's routes: fields that we don't
// know are the field's and not our concern.
func decode(r *http.Request, into any) error { return decodeBody(bodyOf(r), into, false) }

// decodeOurs reads the body of one of our own routes: a field that we don't know
// is a mistake.
func decodeOurs(r *http.Request, into any) error { return decodeBody(bodyOf(r), into, true) }

func decodeBody(body []byte, into any, strict bool) error {
	if err := checkJSON(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if strict {
		d.DisallowUnknownFields()
	}
	return typeError(d.Decode(into))
}

// checkJSON holds that the body is one JSON object that we would store as it is
// given: no name twice, no text that is not Unicode.
func checkJSON(body []byte) error {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return gabion.Invalid("body", "is empty; send a JSON object")
	case !utf8.Valid(body):
		return gabion.Invalid("body", "is not UTF-8; encode it as UTF-8")
	}
	c := checker{json.NewDecoder(bytes.NewReader(body))}
	c.UseNumber()
	first, err := c.Token()
	if err != nil {
		return syntaxError(err)
	}
	if first != json.Delim('{') {
		return gabion.Invalid("body", "is not an object; send a JSON object")
	}
	if err := c.object("", 1); err != nil {
		return err
	}
	if _, err := c.Token(); !errors.Is(err, io.EOF) {
		return gabion.Invalid("body", "goes on after its object; send one JSON object")
	}
	return nil
}

// checker walks over a body's tokens. Its methods are called behind the opening
// token of what they read.
type checker struct{ *json.Decoder }

func (c checker) object(path string, depth int) error {
	seen := map[string]bool{}
	for c.More() {
		token, err := c.Token()
		if err != nil {
			return syntaxError(err)
		}
		name := token.(string)
		field := strings.TrimPrefix(path+"."+name, ".")
		if seen[name] {
			return gabion.Invalid(field, "is given twice; give it once")
		}
		seen[name] = true
		if err := c.value(field, depth); err != nil {
			return err
		}
	}
	_, err := c.Token()
	return syntaxError(err)
}

func (c checker) list(path string, depth int) error {
	for i := 0; c.More(); i++ {
		if err := c.value(fmt.Sprintf("%s[%d]", path, i), depth); err != nil {
			return err
		}
	}
	_, err := c.Token()
	return syntaxError(err)
}

func (c checker) value(path string, depth int) error {
	token, err := c.Token()
	if err != nil {
		return syntaxError(err)
	}
	if _, opens := token.(json.Delim); opens && depth == maxDepth {
		return gabion.Invalid("body", "is more than %d levels deep; make it flatter", maxDepth)
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return c.object(path, depth+1)
		}
		return c.list(path, depth+1)
	case string:
		// The decoder puts this rune where an escape is half a surrogate pair.
		if strings.ContainsRune(v, utf8.RuneError) {
			return gabion.Invalid(path, "has a character that is not Unicode; remove it")
		}
	}
	return nil
}

func syntaxError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return gabion.Invalid("body", "is not JSON: %v at byte %d", syntax, syntax.Offset)
	}
	return gabion.Invalid("body", "is not JSON: it ends too early")
}

// typeError says of a body that is JSON, but not of the right shape, what to write instead.
func typeError(err error) error {
	var typed *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &typed):
		return gabion.Invalid(typed.Field, "is %s; write %s", withArticle(typed.Value), kindName(typed.Type))
	}
	// The package has no type for this one.
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		return gabion.Invalid(name, "is not a field of this request; leave it out")
	}
	return gabion.Invalid("body", "can't be read: %v", err)
}

// withArticle names a JSON value as the decoder does: "string", "number 1.5".
func withArticle(value string) string {
	kind, literal, _ := strings.Cut(value, " ")
	switch {
	case literal != "":
		return literal
	case kind == "array" || kind == "object":
		return "an " + kind
	case kind == "bool":
		return "true or false"
	}
	return "a " + kind
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}
