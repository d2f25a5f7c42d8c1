package stack

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"

	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/template"
)

// LocalSecret signs and verifies the tokens of a stack that was given no key of its own. Everybody knows it: functions refuse it when
// they are deployed.
const LocalSecret = "local-secret-do-not-deploy-0123456789"

// defaultTable is the table's name without the setting TABLE_NAME.
const defaultTable = "realtime"

// localCredentials are those of the functions: DynamoDB Local has a database for each access key and region.
type localCredentials struct{}

func (localCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: lambda.AccessKeyID, SecretAccessKey: lambda.AccessKeyID}, nil
}

// overrides are what this machine decides about the template: the settings, and over them where everything is.
func (s *Stack) overrides() template.Overrides {
	s.TableName = s.options.Settings["TABLE_NAME"]
	if s.TableName == "" {
		s.TableName = defaultTable
	}
	environment := maps.Clone(s.options.Settings)
	if environment == nil {
		environment = map[string]string{}
	}
	maps.Copy(environment, map[string]string{
		"TABLE_NAME":           s.TableName,
		"CONNECTIONS_ENDPOINT": s.ConnectionsEndpoint,
		"PUBLISH_FUNCTION":     "publish",
	})
	return template.Overrides{
		Parameters:  s.options.Settings,
		Environment: environment,
		Values:      map[string]string{"AWS::Region": region, "AWS::AccountId": account, "Api": "local"},
	}
}

// environment is what a function gets: the template's variables, where this machine's services are instead of AWS's, and, when
// nothing says with which key tokens are verified, the local secret.
func (s *Stack) environment(f template.Function) map[string]string {
	env := maps.Clone(f.Environment)
	maps.Copy(env, map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": s.DynamoDBEndpoint,
		"AWS_ENDPOINT_URL_LAMBDA":   s.LambdaEndpoint,
		"AWS_EC2_METADATA_DISABLED": "true",
		"AWS_SAM_LOCAL":             "true", // as SAM CLI says that this is no deployment
	})
	if _, verifies := env["JWT_SECRET"]; verifies && env["JWT_SECRET"]+env["JWT_PUBLIC_KEY"]+env["JWT_JWKS_URL"] == "" {
		env["JWT_SECRET"] = LocalSecret
	}
	return env
}

// Environment is that of a function, by its folder; nil for a function that the template does not have.
func (s *Stack) Environment(folder string) map[string]string {
	for _, f := range s.template.Functions {
		if f.Folder == folder {
			return s.environment(f)
		}
	}
	return nil
}
