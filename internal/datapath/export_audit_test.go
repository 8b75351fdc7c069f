package datapath

import "time"

// ReadSoon lets the next Audit read all maps.
func (d *Datapath) ReadSoon() { d.nextRead = time.Time{} }
