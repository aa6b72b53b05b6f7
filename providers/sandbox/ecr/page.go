package ecr

import (
	"encoding/base64"
	"strings"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// page cuts one page out of items, which are in the order of their unique keys. It
// returns the token for what follows, or "". A token names the last key delivered, so
// that items that come or go between two pages shift nothing.
func page[T any](items []T, key func(T) string, size *int, token string) ([]T, string, error) {
	n := defaultPage
	if size != nil {
		n = *size
	}
	switch {
	case n < 1:
		return nil, "", constraint("maxResults", "Member must have value greater than or equal to 1")
	case n > maxPage:
		return nil, "", constraint("maxResults", "Member must have value less than or equal to %d", maxPage)
	}
	if token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		after, ok := strings.CutPrefix(string(raw), tokenPrefix)
		if err != nil || !ok {
			return nil, "", constraint("nextToken", "Invalid token")
		}
		for len(items) > 0 && key(items[0]) <= after {
			items = items[1:]
		}
	}
	if len(items) <= n {
		return items, "", nil
	}
	return items[:n], base64.RawURLEncoding.EncodeToString([]byte(tokenPrefix + key(items[n-1]))), nil
}

// tokenPrefix tells a token from other base64, so that a made-up one is refused.
const tokenPrefix = "v1\x00"
