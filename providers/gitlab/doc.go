// Package gitlab is what apron needs of GitLab: the notes of one merge request, over REST.
//
// The token goes to the host of the API and nowhere else: redirects are not followed.
package gitlab
