# An apply goes back to `tasks`, and within minutes there are as many as are needed again.

resource "aws_appautoscaling_target" "this" {
  count = local.is_service && local.runs && var.tasks_max != null ? 1 : 0

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${element(split("/", var.cluster_arn), 1)}/${aws_ecs_service.this[0].name}"
  min_capacity       = var.tasks
  max_capacity       = var.tasks_max
}

resource "aws_appautoscaling_policy" "this" {
  count = length(aws_appautoscaling_target.this)

  name               = "${local.family}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 60
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
