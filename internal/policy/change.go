package policy

import "github.com/gabion/gabion"

// Change is what one revision of the store did to the objects that policy is
// made of. Objects in it replace those of the same id.
type Change struct {
	Revision int64

	Groups    []*gabion.Group
	Rules     []*gabion.Rule
	Instances []*gabion.Instance

	GoneGroups    []string
	GoneRules     []string
	GoneInstances []string
}
