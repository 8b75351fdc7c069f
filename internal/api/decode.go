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
	"time"
	"unicode"
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
	if err := checkJSON(body, reflect.TypeOf(into).Elem(), strict); err != nil {
		return err
	}
	return typeError(json.Unmarshal(body, into))
}

// checkJSON holds that the body is one JSON object that we would store as it is
// given: no name twice or in other letters, no text that is not Unicode.
func checkJSON(body []byte, shape reflect.Type, strict bool) error {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return gabion.Invalid("body", "is empty; send a JSON object")
	case !utf8.Valid(body):
		return gabion.Invalid("body", "is not UTF-8; encode it as UTF-8")
	}
	c := checker{json.NewDecoder(bytes.NewReader(body)), strict}
	c.UseNumber()
	first, err := c.Token()
	if err != nil {
		return syntaxError(err)
	}
	if first != json.Delim('{') {
		return gabion.Invalid("body", "is not an object; send a JSON object")
	}
	if err := c.object("", shape, 1); err != nil {
		return err
	}
	if _, err := c.Token(); !errors.Is(err, io.EOF) {
		return gabion.Invalid("body", "goes on after its object; send one JSON object")
	}
	return nil
}

// checker walks over a body's tokens, beside the type that they go into (nil where
// there is none). Its methods are called behind the opening token of what they read.
type checker struct {
	*json.Decoder
	strict bool // a field that the type does not have is a mistake
}

func (c checker) object(path string, shape reflect.Type, depth int) error {
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
		if shape != nil && shape.Kind() == reflect.Map {
			if err := checkText(path, name, shape); err != nil {
				return err
			}
		}
		inner, err := c.field(field, name, shape)
		if err != nil {
			return err
		}
		if err := c.value(field, inner, depth); err != nil {
			return err
		}
	}
	if _, err := c.Token(); err != nil {
		return syntaxError(err)
	}
	return c.complete(path, seen, shape)
}

// complete holds that an object of ours has what the contract requires of it: the
// fields that the generated types never leave out.
func (c checker) complete(path string, seen map[string]bool, shape reflect.Type) error {
	if !c.strict || shape == nil || shape.Kind() != reflect.Struct {
		return nil
	}
	for i := range shape.NumField() {
		name, _, optional := strings.Cut(shape.Field(i).Tag.Get("json"), ",")
		if name != "" && !optional && !seen[name] {
			return gabion.Invalid(strings.TrimPrefix(path+"."+name, "."), "is missing; give it")
		}
	}
	return nil
}

var timeType = reflect.TypeFor[time.Time]()

// field is the type of that field of an object; nil for one that is ignored. The
// decoder would take a name in capital letters for the field's own, too.
func (c checker) field(path, name string, shape reflect.Type) (reflect.Type, error) {
	switch {
	case shape == nil:
		return nil, nil
	case shape.Kind() == reflect.Map:
		return shape.Elem(), nil
	case shape.Kind() != reflect.Struct:
		return nil, nil // of the wrong type, as the decoder will say
	}
	for i := range shape.NumField() {
		own, _, _ := strings.Cut(shape.Field(i).Tag.Get("json"), ",")
		switch {
		case own == name:
			return shape.Field(i).Type, nil
		case strings.EqualFold(own, name):
			return nil, gabion.Invalid(path, "is written %s", own)
		}
	}
	if c.strict {
		return nil, gabion.Invalid(path, "is not a field of this request; leave it out")
	}
	return nil, nil
}

func (c checker) list(path string, shape reflect.Type, depth int) error {
	var inner reflect.Type
	if shape != nil && shape.Kind() == reflect.Slice {
		inner = shape.Elem()
	}
	for i := 0; c.More(); i++ {
		if err := c.value(fmt.Sprintf("%s[%d]", path, i), inner, depth); err != nil {
			return err
		}
	}
	_, err := c.Token()
	return syntaxError(err)
}

func (c checker) value(path string, shape reflect.Type, depth int) error {
	token, err := c.Token()
	if err != nil {
		return syntaxError(err)
	}
	if shape != nil && shape.Kind() == reflect.Pointer {
		shape = shape.Elem()
	}
	switch v := token.(type) {
	case json.Delim:
		switch {
		case depth == maxDepth:
			return gabion.Invalid("body", "is more than %d levels deep; make it flatter", maxDepth)
		case v == '{':
			return c.object(path, shape, depth+1)
		}
		return c.list(path, shape, depth+1)
	case string:
		if err := checkText(path, v, shape); err != nil {
			return err
		}
		if _, err := time.Parse(time.RFC3339, v); shape == timeType && err != nil {
			return gabion.Invalid(path, "%q is not a time; write one like 2030-01-31T15:04:05Z", v)
		}
	case nil:
		if shape != nil && c.strict { // clients of the public API write null for what they leave out
			return gabion.Invalid(path, "is null; give a value, or leave it out")
		}
	}
	return nil
}

// misleading are characters that nobody sees and that turn around or break what
// stands beside them: text would look like other text.
var misleading = &unicode.RangeTable{R16: []unicode.Range16{{0x2028, 0x202e, 1}, {0x2066, 0x2069, 1}}}

// checkText refuses what no text may have that is stored from now on. What is stored
// is not held to it: names of before stay what they are.
func checkText(path, text string, shape reflect.Type) error {
	for _, r := range text {
		switch {
		case r == utf8.RuneError: // the decoder puts it where an escape is half a surrogate pair
			return gabion.Invalid(path, "has a character that is not Unicode; remove it")
		case shape != nil && unicode.Is(misleading, r):
			return gabion.Invalid(path, "has the control character %U; remove it", r)
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
