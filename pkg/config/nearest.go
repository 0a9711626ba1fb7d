package config

import "strings"

// nearest returns the candidate with the least edit distance to word, the first
// one among equals, and that distance; "" when there is no candidate.
func nearest(word string, candidates []string) (best string, distance int) {
	w := folded(word)
	for _, c := range candidates {
		if d := levenshtein(w, folded(c)); best == "" || d < distance {
			best, distance = c, d
		}
	}
	return best, distance
}

// near says whether a distance looks like a slip of the pen.
func near(word string, distance int) bool {
	return distance <= max(2, len(word)/3) && distance < len(word)
}

// folded makes case and dashes cost nothing, and bounds the work that a
// hostile key can ask for.
func folded(s string) []rune {
	const longest = 64
	r := []rune(strings.ToLower(strings.ReplaceAll(s[:min(len(s), 4*longest)], "-", "_")))
	return r[:min(len(r), longest)]
}

// levenshtein counts the insertions, deletions and substitutions between a and
// b (Wagner and Fischer, one row).
func levenshtein(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, ca := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, cb := range b {
			cost := diagonal
			if ca != cb {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
