package foreign_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest/foreign"
)

// TestRead_whichBuild: of the images that a job builds it is the deployed one that is taken,
// from where it is built.
func TestRead_whichBuild(t *testing.T) {
	const ecr = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	const unknown, otherName = "none of them is known to be this one", "by another name"
	for _, tc := range []struct{ name, head, steps, image, want, note, not string }{
		{"by its name", "", `
      - run: docker build -t ` + ecr + `/worker:1 worker
      - run: docker build -t ` + ecr + `/shop:1 shop
`, ecr + "/shop:1", "context: shop", "is what the job builds", "worker"},
		{"by its tag", "", `
      - run: |
          docker build --tag ` + ecr + `/shop:worker worker
          docker build --tag=` + ecr + `/shop:web shop && docker push --all-tags ` + ecr + `/shop
`, ecr + "/shop:web", "context: shop", "is what the job builds", "context: worker"},
		{"by its repository", "", `
      - run: docker build -t ` + ecr + `/worker worker; docker build -t ` + ecr + `/shop shop
`, ecr + "/shop:${{ github.sha }}", "context: shop", "is what the job builds", "context: worker"},
		{"by variables", "env: {REPO: " + ecr + "/shop}", `
      - run: docker build -t ${{ env.REPO }}-worker:${{ github.sha }} worker
      - run: docker build -t "$REPO:$GITHUB_SHA" shop
`, "${{ env.REPO }}:${{ github.sha }}", "context: shop", "is what the job builds", "context: worker"},
		{"of the action", "", `
      - uses: docker/build-push-action@v6
        with: {context: worker, tags: "` + ecr + `/worker:1"}
      - uses: docker/build-push-action@v6
        with: {context: shop, tags: "` + ecr + `/shop:1,` + ecr + `/shop:2"}
`, ecr + "/shop:2", "context: shop", "is what the job builds", "context: worker"},
		{"by another name that it gets", "", `
      - run: docker build -t worker worker
      - run: docker build -t shop shop
      - run: docker tag shop:latest ` + ecr + `/web:1
`, ecr + "/web:1", "context: shop", "is what the job builds", "context: worker"},
		{"by the step's output", "", `
      - {id: worker, run: docker build -t a worker}
      - {id: web, run: docker build -t b shop}
`, "${{ steps.web.outputs.image }}", "context: shop", "is what the job builds", "context: worker"},
		{"not what a comment says", "", `
      - run: |
          # docker build -t ` + ecr + `/shop:1 worker
          docker build -t ` + ecr + `/shop:1 shop 2>&1 | tee log
`, ecr + "/shop:1", "context: shop", "is what the job builds", "context: worker"},
		{"none of several", "", `
      - run: docker build -t worker worker
      - run: docker build -t shop shop
`, ecr + "/web:1", "from: " + ecr + "/web:1", unknown, "is what the job builds"},
		{"nobody knows which", "", `
      - {id: all, run: docker build -t a worker && docker build -t b shop}
`, "${{ steps.all.outputs.image }}", "from: ${ALL_IMAGE}", unknown, "is what the job builds"},
		{"the only one, by another name", "", `
      - run: docker build -t worker worker
`, ecr + "/web:1", "context: worker", otherName, "is what the job builds"},
		{"the only one, whose name nobody knows", "", `
      - run: docker build -t worker worker
`, "${{ steps.other.outputs.image }}", "context: worker", "is what the job builds", otherName},

		{"where the step runs", "", `
      - {run: docker build -f Dockerfile.prod -t x ., working-directory: ./shop}
`, "", "context: shop\n    dockerfile: Dockerfile.prod", "is in front of the paths of image.build", ""},
		{"where the job's steps run", "", "defaults", "", "context: jobs/app", "is in front of the paths of image.build", ""},
		{"where the workflow's steps run", "defaults: {run: {working-directory: shop}}", `
      - run: docker build -t x -f docker/Dockerfile ..
`, "", "context: .\n    dockerfile: shop/docker/Dockerfile", "is in front of the paths of image.build", ""},
		{"the step's is nearer", "defaults: {run: {working-directory: shop}}", `
      - {run: docker build -t x ., working-directory: "${{ github.workspace }}/api"}
`, "", "context: api", "is in front of the paths of image.build", ""},
		{"where nobody knows", "", `
      - {run: docker build -t x ., working-directory: "${{ inputs.dir }}"}
`, "", "context: .", "its paths are variables: write image.build", ""},
		{"the action knows no such directory", "defaults: {run: {working-directory: shop}}", `
      - uses: docker/build-push-action@v6
        with: {context: api, tags: x}
`, "", "context: api", "", "in front of"},
		{"a script that goes elsewhere", "", `
      - run: |
          cd shop
          docker build -t x .
`, "", "context: .", "changes its directory before", ""},
		{"no directory", "defaults: {run: {working-directory: shop}}", `
      - run: docker build -t x - < Dockerfile
`, "", "context: .", "its context is no directory", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			job := "\n    runs-on: ubuntu-latest\n"
			if tc.steps == "defaults" {
				job, tc.steps = "\n    defaults: {run: {working-directory: jobs}}\n", "\n      - run: docker build -t x app\n"
			}
			r, err := foreign.Read([]foreign.File{{Name: "d.yml", Data: []byte("on: push\n" + tc.head + "\njobs:\n  deploy:" + job + "    steps:" + tc.steps +
				"      - uses: awslabs/amazon-app-runner-deploy@v1\n        with: {service: shop-web, image: \"" + tc.image + "\"}\n")}})
			require.NoError(t, err)
			loads(t, r)
			require.Contains(t, string(r.Text()), tc.want)
			require.Contains(t, string(r.Text()), tc.note)
			if tc.not != "" {
				require.NotContains(t, string(r.Text()), tc.not)
			}
		})
	}
}
