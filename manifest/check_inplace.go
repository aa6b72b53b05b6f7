package manifest

import "github.com/apron-deploy/apron/reconcile/pattern"

// inPlace reports whether image.from runs where it is.
func (im *Image) inPlace() bool { return im != nil && im.Copy != nil && !*im.Copy }

var (
	// https://docs.aws.amazon.com/apprunner/latest/api/API_ImageRepository.html
	privateImage = pattern.Lazy(`^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/([a-z0-9._/-]+)(?:[:@]\S+)?$`)
	publicImage  = pattern.Lazy(`^public\.ecr\.aws/[a-z0-9._-]+/[a-z0-9._/-]+(?:[:@]\S+)?$`)
)

// inPlace checks what goes with an image that is not copied.
func (c *checker) inPlace() {
	im := c.m.Image
	if im.Copy == nil {
		return
	}
	if im.From == "" {
		c.fail(c.at("image.copy"), "image.copy", "name the image under from, or take it out", "is about image.from, and there is none")
	}
	if *im.Copy {
		return
	}
	public := publicImage().MatchString(im.From)
	if im.From != "" && !public && !privateImage().MatchString(im.From) {
		c.fail(c.at("image.copy"), "image.copy", "leave it out: apron copies the image into ECR",
			"App Runner runs images from where they are in ECR and ECR Public only")
	}
	for _, key := range []string{"repository", "platforms", "version", "tags", "scan", "retention"} {
		if p := "image." + key; c.root.find(p) != nil {
			c.fail(c.at(p), p, "take it out, or leave out copy: false", "is about the repository that apron keeps, and with copy: false the image stays in its own")
		}
	}
	if public && c.m.AutoDeploy != nil && *c.m.AutoDeploy {
		c.fail(c.at("auto_deploy"), "auto_deploy", "leave it off", "App Runner watches no image of ECR Public")
	}
	if r := c.m.Roles; public && r != nil && r.Access != "" && r.Access != "auto" {
		c.fail(c.at("roles.access"), "roles.access", "leave it out", "an image of ECR Public is pulled without a role, and App Runner refuses one")
	}
}
