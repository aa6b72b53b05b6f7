// Package github is what apron needs of GitHub: the comments of a pull request. It speaks
// REST where it writes and GraphQL where it reads, for only GraphQL says whether a comment
// is the token's own and who edited it last.
//
// The token goes to the hosts of the API and nowhere else: redirects are not followed.
package github
