package ecr

import "github.com/apron-deploy/apron/providers/sandbox/wire"

const (
	defaultPage = 100
	maxPage     = 1000
)

// page cuts one page out of items, which are in the order of their unique keys. It
// returns the token for what follows, or "". list tells apart what a token belongs to.
func page[T any](list string, items []T, key func(T) string, size *int, token string) ([]T, string, error) {
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
	cut, next, err := wire.Page(list, items, key, token, n)
	if err != nil {
		return nil, "", constraint("nextToken", "Invalid token")
	}
	return cut, next, nil
}
