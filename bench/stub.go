package main

func verdicts([]Result) string         { return "" }
func writePage(string, []Result) error { return nil }

const pagePath = ""
