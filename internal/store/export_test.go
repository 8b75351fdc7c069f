package store

// StartEmbeddedWithin is StartEmbedded with a database of at most quota bytes.
var StartEmbeddedWithin = startEmbedded
