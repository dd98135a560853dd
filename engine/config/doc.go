// Package config turns configuration files and command lines into one plain value, [Options], and
// compares two of them.
//
// How a configuration becomes a running server:
//  1. [ParseFlags] reads the command line;
//  2. [Load] parses the file (proto/conf), decodes it by tables of keys, one per block, applies the
//     flags over it and fills defaults ([Baseline]); every problem is collected with its position;
//  3. [Validate] applies the rules between options, [Unsupported] refuses subsystems that do not exist yet;
//  4. at a reload, [Diff] compares with the configuration in force by the table of classes (class.go).
//
// Threading: everything is a pure function of its arguments, the files named in them and the
// environment; an Options is immutable once handed out.
package config
