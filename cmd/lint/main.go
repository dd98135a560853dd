package main

import "fmt"

func main() {
	fmt.Println("package pattern | may import | reason")
	for _, r := range layers {
		fmt.Printf("%s | %v | %s\n", r.pkg, r.allow, r.reason)
	}
	for _, r := range externals {
		fmt.Printf("%s | only in %v | %s\n", r.path, r.allow, r.reason)
	}
}
