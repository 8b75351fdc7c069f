package main

func benchMemory(int) ([]Result, error) { return nil, nil }
func verdicts([]Result) string          { return "" }
func writePage(string, []Result) error  { return nil }

const pagePath = ""
