package wire

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
)

// ErrToken says that a page token was not made for this list. Services answer it with
// their own code, such as InvalidNextToken.
var ErrToken = errors.New("the page token is not valid for this list")

// mark is where a page ended: the key of its last item; in case that item is gone by
// then, the key of the item after it; and if that has gone too, how many items there were.
type mark struct {
	List string `json:"l"`
	Last string `json:"k"`
	Next string `json:"x"`
	At   int    `json:"n"`
}

// start is the index at which the page after the mark begins.
func (m mark) start(keys []string) int {
	if i := slices.Index(keys, m.Last); i >= 0 {
		return i + 1
	}
	if i := slices.Index(keys, m.Next); i >= 0 {
		return i
	}
	return min(m.At, len(keys))
}

// Page cuts from items, which are in a fixed order, the page that token asks for, at
// most limit long, and the token of the page after it ("" at the end). The token is
// opaque, belongs to the list of that name only, and survives inserts and deletes: who
// deletes what a page holds before asking for the next one misses nothing.
func Page[T any](list string, items []T, key func(T) string, token string, limit int) ([]T, string, error) {
	start := 0
	if token != "" {
		var m mark
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || json.Unmarshal(raw, &m) != nil || m.List != list || m.At < 0 {
			return nil, "", ErrToken
		}
		keys := make([]string, len(items))
		for i, item := range items {
			keys[i] = key(item)
		}
		start = m.start(keys)
	}
	end := min(start+limit, len(items))
	page := items[start:end]
	if end == len(items) || len(page) == 0 {
		return page, "", nil
	}
	raw, err := json.Marshal(mark{list, key(page[len(page)-1]), key(items[end]), end})
	if err != nil {
		return nil, "", err
	}
	return page, base64.RawURLEncoding.EncodeToString(raw), nil
}
