package main

import (
	"fmt"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxFile is how large a file of groups may be, in bytes: some ten thousand rules.
	maxFile = 4 << 20
	// maxNesting is how deep lists and mappings in it may be nested.
	maxNesting = 16
)

// checkPlain refuses what no file of groups has and what would take the reader's
// memory: files come from elsewhere, too.
func checkPlain(name string, text []byte) error {
	if len(text) > maxFile {
		return fmt.Errorf("%s is larger than %d MiB; write several files", name, maxFile>>20)
	}
	depth := 0
	for _, t := range lexer.Tokenize(string(text)) {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return fmt.Errorf("%s, line %d: %s is for anchors and aliases, which are not taken here; write out what it stands for", name, t.Position.Line, t.Value)
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		default: // the others neither open nor close anything
		}
		if depth > maxNesting || isEntry(t) && t.Position.Column > 4*maxNesting {
			return fmt.Errorf("%s, line %d: lists and mappings are more than %d deep; write it flatter", name, t.Position.Line, maxNesting)
		}
	}
	return nil
}

// isEntry tells whether another list or mapping may begin behind the token, on its line.
func isEntry(t *token.Token) bool {
	return t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType
}
