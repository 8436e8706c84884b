"""SAM and CloudFormation templates: the settings of the Lambda function that ``adapter dev --template`` runs."""
