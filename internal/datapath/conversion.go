package datapath

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// conversion makes our layout of a struct out of another build's. Fields go by their
// names, which the kernel keeps with each map, so any two versions can, up and down:
// what only we have stays zero, what only they have is left. A field that comes to
// mean something else needs another name, therefore.
type conversion struct {
	from, to int    // sizes
	spans    []span // that are copied
}

type span struct{ from, to, size int }

// errLayout reports a layout that nothing can be taken over from.
var errLayout = errors.New("maps are laid out in a way that is not known here")

// newConversion matches two structs. The needed fields are those without which a value
// would say something else.
func newConversion(from, to *btf.Struct, needed ...string) (*conversion, error) {
	c := &conversion{from: int(from.Size), to: int(to.Size)}
	if err := c.match(from, to, 0, 0); err != nil {
		return nil, err
	}
	for _, field := range needed {
		if _, there := fieldOf(from, field); !there {
			return nil, fmt.Errorf("%w: %s has no %s", errLayout, from.Name, field)
		}
	}
	return c, nil
}

// match adds what is copied, of structs at these places.
func (c *conversion) match(from, to *btf.Struct, fromAt, toAt int) error {
	for _, ours := range to.Members {
		theirs, there := fieldOf(from, ours.Name)
		if !there || strings.HasPrefix(ours.Name, "pad") {
			continue
		}
		if err := c.matchField(theirs, ours, fromAt+int(theirs.Offset.Bytes()), toAt+int(ours.Offset.Bytes())); err != nil {
			return fmt.Errorf("%s.%s: %w", from.Name, ours.Name, err)
		}
	}
	return nil
}

func (c *conversion) matchField(theirs, ours btf.Member, fromAt, toAt int) error {
	inner, isStruct := btf.UnderlyingType(ours.Type).(*btf.Struct)
	their, wasStruct := btf.UnderlyingType(theirs.Type).(*btf.Struct)
	if isStruct && wasStruct {
		return c.match(their, inner, fromAt, toAt)
	}
	was, err := btf.Sizeof(theirs.Type)
	if err != nil {
		return err
	}
	is, err := btf.Sizeof(ours.Type)
	if err != nil {
		return err
	}
	if was != is || isStruct != wasStruct {
		return fmt.Errorf("%w: %d bytes, and %d here", errLayout, was, is)
	}
	c.spans = append(c.spans, span{fromAt, toAt, is})
	return nil
}

func fieldOf(s *btf.Struct, name string) (btf.Member, bool) {
	i := slices.IndexFunc(s.Members, func(m btf.Member) bool { return m.Name == name })
	if i < 0 {
		return btf.Member{}, false
	}
	return s.Members[i], true
}

// convert copies what is known into a value of ours.
func (c *conversion) convert(from, to []byte) {
	for _, s := range c.spans {
		copy(to[s.to:s.to+s.size], from[s.from:])
	}
}

// array is where a struct has its elements.
type array struct{ at, size, n int }

// arrayOf finds an array of structs, or of numbers, in a struct.
func arrayOf(s *btf.Struct, field string) (array, *btf.Struct, error) {
	m, there := fieldOf(s, field)
	if !there {
		return array{}, nil, fmt.Errorf("%w: %s has no %s", errLayout, s.Name, field)
	}
	a, isArray := btf.UnderlyingType(m.Type).(*btf.Array)
	if !isArray {
		return array{}, nil, fmt.Errorf("%w: %s.%s is no array", errLayout, s.Name, field)
	}
	size, err := btf.Sizeof(a.Type)
	if err != nil {
		return array{}, nil, err
	}
	element, _ := btf.UnderlyingType(a.Type).(*btf.Struct)
	return array{at: int(m.Offset.Bytes()), size: size, n: int(a.Nelems)}, element, nil
}

// element is one of the array's, in a value of the struct.
func (a array) element(value []byte, i int) []byte {
	return value[a.at+i*a.size:][:a.size]
}
