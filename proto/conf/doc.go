// Package conf reads the configuration language of NATS servers into a tree with positions.
//
// How a text becomes a tree:
//  1. [Parse] reads the top level: entries, optionally inside braces, and include directives, whose
//     files the caller's [Env] supplies;
//  2. each key is followed by a value: bare word, quoted string, block string, number with unit,
//     boolean, date, array or map;
//  3. a bare word that starts with $ is replaced at once by the value of the nearest enclosing entry
//     of that name, else by the environment;
//  4. [Tree.Digest] identifies the meaning of the text, whatever its layout.
//
// Texts are hostile: depth, file count, bytes and the number of values after replacing variables are
// limited ([Limits]), so that memory stays proportional to the input.
//
// Threading: values are plain data; a Tree is immutable once returned.
package conf
