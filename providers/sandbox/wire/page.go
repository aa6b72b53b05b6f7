package wire

import (
	"encoding/base64"
	"encoding/json"
	"errors"
)

// ErrToken says that a page token was not made for this list. Services answer it with
// their own code, such as InvalidNextToken.
var ErrToken = errors.New("the page token is not valid for this list")

// mark is where a page ended: the key of its last item, and how many items came before
// the next page in case that item is gone by then.
type mark struct {
	List string `json:"l"`
	Key  string `json:"k"`
	At   int    `json:"n"`
}

// Page cuts from items, which are in a fixed order, the page that token asks for, at
// most limit long, and the token of the page after it ("" at the end). The token is
// opaque, belongs to the list of that name only, and survives inserts and deletes.
func Page[T any](list string, items []T, key func(T) string, token string, limit int) ([]T, string, error) {
	start := 0
	if token != "" {
		var m mark
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || json.Unmarshal(raw, &m) != nil || m.List != list || m.At < 0 {
			return nil, "", ErrToken
		}
		start = min(m.At, len(items))
		for i, item := range items {
			if key(item) == m.Key {
				start = i + 1
				break
			}
		}
	}
	end := min(start+limit, len(items))
	page := items[start:end]
	if end == len(items) || len(page) == 0 {
		return page, "", nil
	}
	raw, err := json.Marshal(mark{list, key(page[len(page)-1]), end})
	if err != nil {
		return nil, "", err
	}
	return page, base64.RawURLEncoding.EncodeToString(raw), nil
}
