package dialplan

import "go.yaml.in/yaml/v3"

// What other readers of YAML in this repository need, so that their files feel alike.

// Tree parses one YAML document of at most 4 MiB; nil for a file with nothing in
// it. The error is a [Problems].
func Tree(yamlBytes []byte) (*yaml.Node, error) { return parseTree(yamlBytes) }

// Nearest is the word of known that somebody who wrote word may have meant, or empty.
func Nearest(word string, known []string) string { return nearest(word, known) }

// ExpandEnv replaces ${NAME} in s by env(NAME); an unset variable is an error.
func ExpandEnv(s string, env func(string) string) (string, error) { return expandEnv(s, env) }
