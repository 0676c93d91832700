package dialplan

import (
	"maps"
	"slices"
	"strings"
)

// didYouMean ends the message about an unknown key with its nearest neighbour, or with all keys.
func didYouMean(key string, known fields) string {
	if best := nearest(key, slices.Collect(maps.Keys(known))); best != "" {
		return ": did you mean " + best + "?"
	}
	return "; expected " + keysOf(known)
}

// nearest is the word that somebody may have meant, or empty. Letter case is no
// distance, and of two that are as near the first in the alphabet wins.
func nearest(word string, known []string) string {
	best, distance := "", max(2, len(word)/3)+1
	for _, k := range known {
		if strings.EqualFold(word, k) {
			return k
		}
		if d := editDistance(word, k); d < distance || d == distance && k < best {
			best, distance = k, d
		}
	}
	if distance >= max(len(word), len(best)) {
		return "" // nothing of the word is left
	}
	return best
}

// editDistance counts inserted, dropped, changed and swapped bytes between two short keys.
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j-1]+cost, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
