package datapath

import "time"

// ReadSoon lets the next Audit read all maps.
func (d *Datapath) ReadSoon() { d.nextRead = time.Time{} }

// ReadLate keeps Audit from reading all maps.
func (d *Datapath) ReadLate() { d.nextRead = time.Now().Add(time.Hour) }
