// Package github is what apron needs of GitHub: the comments and reviews of a pull request,
// which one a commit came from, and issues. It speaks REST where it writes and GraphQL where it
// reads, for only GraphQL says whether a comment is the token's own, who edited it last, and
// whether a reviewer may push.
//
// The token goes to the hosts of the API and nowhere else: redirects are not followed.
package github
